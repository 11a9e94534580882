"""Payments: their providers are asked about them.

Holds look-ups, expiry, cancellation, backfill, what operators decide, and the sweep of requests that are due.
Promises: no transaction is open while a provider is asked. Each answer is recorded like a webhook.
Never: writes a payment's status; worker/transitions does.
"""
