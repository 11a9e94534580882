"""Orders: what was bought, what of it was handed over, canceled and given back.

Holds orders, their lines and numbers, fulfilments, cancellations, and which pieces a refund is for.
Promises: one filling of a cart is one order, made by ``payments_fold`` in the transaction that first makes its payment
paid or authorized (migrations/orders/orders.sql). One Idempotency-Key is one fulfilment or cancellation; triggers admit
it, and carry it out, under the locks of the payment and the order (migrations/orders/requests.sql).
Never: calls a provider, makes an order, hands over what does not lie there.
"""
