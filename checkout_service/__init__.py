"""A checkout service: the web tier, and the words that both tiers share.

The web tier writes what the customer asked for; the worker writes what the money did.

Rooms, from the shelf to the till:

    catalog     what can be bought, at what price
    carts       what the customer wants; knows nothing of paying
    checkout    a cart frozen into a promise: lines, amount, expiry, one payment
    payments    what became of the money; read here, moved only by worker/transitions/payments.py
    refunds     money given back: asked for here, moved only by worker/transitions/refunds.py
    webhooks    a webhook receiver: files webhooks and rings, does not open them
    pages       what people see: the shop, and a payment to watch
    console     what operators see and order
    oversight   a payment's story, and what must hold of all payments
    doctor      looks at what surrounds the service, and says what to do
    providers   provider adapters, one file a provider: values in, values out
    local       one machine: embedded servers, demo data, a demo purchase

Nothing here imports ``worker``: it is called by task name through ``queue``.
"""
