"""Payments: their providers are asked about them.

Holds look-ups, expiry, time limits of attempts, cancellation, backfill, what operators decide, and the sweep of
requests that are due.
Promises: no transaction is open while a provider is asked. Each answer is recorded like a webhook.
Never: enters what a provider reports (worker/transitions does), nor a payment's status: ``payments_fold`` computes it.
"""
