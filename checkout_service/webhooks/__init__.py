"""Webhooks: the webhook receiver, and the command line about webhooks.

Holds webhooks: the raw bytes that a provider sent, and how far the worker is with each.
Promises: an answer of 202 means that the webhook is committed in PostgreSQL.
Never: verifies or parses a webhook, knows a secret, imports carts, catalog or payments.
"""
