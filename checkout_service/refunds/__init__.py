"""Refunds: money given back, as asked for here or as a provider's dashboard did it.

Holds what was asked for, and what became of it. A refund is born here, requested; only the worker's transitions moves
it. Promises: one Idempotency-Key, one refund, once at the provider; the sum never exceeds what was paid. Never: calls a
provider, updates a refund. Only callers whose token has the scope ``refunds`` may ask for one.
"""
