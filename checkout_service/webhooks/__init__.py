"""Webhooks: a webhook receiver.

Holds webhooks: the raw bytes that a provider sent, and how far the worker has come with each.
Promises: an answer of 202 means that the webhook is committed in PostgreSQL.
Never: opens a webhook, imports a room, knows a secret.
"""
