"""Refunds: money given back, requested here or made in a provider's dashboard.

Holds requests for refunds, and what became of them.
Promises: one Idempotency-Key is one request, each row of it made once at the provider. What we ask for never exceeds
what is here: triggers of the table see to it (migrations/entries/requests.sql).
Never: calls a provider, updates a refund: worker/transitions does. Only a token with the scope ``refunds`` may request.
"""
