"""Checkout: a cart frozen into a promise.

Holds sessions: lines, amount and expiry as they were, and the one payment that each opened.
Promises: one Idempotency-Key, one session, one payment, one answer; concurrent retries and retries get the same.
Never: moves a payment, changes a cart.
"""
