"""Payments: asked about at their provider, canceled, expired, caught up with.

Holds look-ups, expiry, cancellation, backfill, and the sweep of requests.
Promises: no transaction is open while a provider is asked; each answer is recorded like a webhook.
Never: writes a payment's status; that is for transitions.
"""
