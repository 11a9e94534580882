"""Refunds: requested at the provider, and followed to their final state.

Holds the task ``payments.refund`` and its leases, and ``orders.cancel_short``, which requests refunds by itself.
Promises: the provider makes a refund once, whatever dies.
Never: writes a refund's status; worker/transitions does.
"""
