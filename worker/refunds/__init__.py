"""Refunds: asked for at the provider, and followed to their end.

Holds the task ``payments.refund`` and its leases.
Promises: a refund is made once, whatever dies.
Never: writes a refund's status; that is for transitions.
"""
