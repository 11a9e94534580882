"""Checkout: a cart frozen into a session.

Holds sessions: lines, amount and expiry as they were, and the one payment that each of them opened.
Promises: one Idempotency-Key is one session, one payment and one answer, for retries and concurrent retries too.
Never: moves a payment, changes a cart.
"""
