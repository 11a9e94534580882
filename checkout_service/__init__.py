"""A checkout service: the web tier, and the words that both tiers share.

The web tier writes what the customer asked for; the worker writes what the money did.

The rooms, from what can be bought to what operators do:

    catalog       what can be bought, at what price
    carts         what the customer wants; knows nothing of paying
    checkout      a cart frozen into a session: lines, amount, expiry, one payment
    payments      what became of the money; read here, moved only by worker/transitions
    captures      money that came, by its provider's name; captures and voids are requested here
    refunds       money to be given back; requested here, moved only by worker/transitions
    disputes      what customers and their banks contest; read here, moved only by worker/transitions
    webhooks      the webhook receiver: commits webhooks and wakes a worker; never reads what is in them
    providers     provider adapters, one folder a provider: values in, values out
    pages         what customers see: the shop, and a payment to watch
    console       what operators see, at /ops
    commands      what operators asked for: one audit, whichever way it came
    oversight     a payment's history, and what must hold of all payments

How they speak to others:

    api           HTTP: problems, strict JSON, callers, the OpenAPI document
    identity      who is calling
    server        between Granian and the application: bodies, slots, draining
    publishing    the only way to Celery
    cache         the only way to Redis
    database      the only way to PostgreSQL

What all of them stand on: settings, telemetry, tasks, threads, breaker, money, strict_json, cursors, durations.
For operators: health, doctor, terminal.

flower_pages adds Retry to Flower, and local runs everything on one machine; no other room imports these two.

Nothing here imports ``worker``: a task is named by ``tasks`` and sent by ``publishing``. docs/architecture.md draws it.
"""

from checkout_service.settings.tracing import may_be_on
from checkout_service.telemetry.optional import COLOURS, hide

if not may_be_on():
    hide()  # before anything of ours, or of the libraries', is loaded

hide(COLOURS)  # until structlog is there: telemetry/logs.py lets it be found again
