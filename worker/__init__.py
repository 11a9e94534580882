"""The worker: the only code that changes a payment.

    webhooks       claims webhooks, verifies and parses them, records them, writes their results; sweeps and prunes
    transitions    enters what providers report; all other rooms record through it
    payments       asks providers about payments: look-ups, expiry, cancellation, backfill; what operators decide
    refunds        asks providers for refunds
    captures       asks providers for captures and voids
    stock          ends holds whose time is over
    events         gives orders and events their numbers; sends events to webhook endpoints
    commands       carries out operator commands
    app, context   the Celery app, and what tasks work with: database, cache, queue, providers
    outstanding    how what was asked for is seen to: refunds, captures, voids
    unanswered     which providers leave their calls without an answer, so that nobody else waits for them
    certificates   keeps what webhooks' certificates are believed by, for the next start
    together       worker, housekeeping and sender from one parent
    task_names     tasks by their names, for beat and Flower
    references, backoff, flower_events, closed_channels

Promises: every task may run twice at once, and may die anywhere.
Never: imports routes or schemas. Never talks to a provider inside a transaction.
"""
