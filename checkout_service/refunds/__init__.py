"""Refunds: money given back, requested here or made in a provider's dashboard.

Holds requests for refunds, and what became of them.
Promises: one Idempotency-Key is one refund, made once at the provider. The sum never exceeds what was paid: triggers
of the table see to it (migrations/baseline/refunds.sql).
Never: calls a provider, updates a refund: worker/transitions does. Only a token with the scope ``refunds`` may request.
"""
