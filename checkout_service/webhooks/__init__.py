"""Webhooks: a letterbox.

Holds letters: the raw bytes that a provider sent, and how far the worker has come with each.
Promises: an answer of 202 means that the letter is committed in PostgreSQL.
Never: opens a letter, imports a room, knows a secret.
"""
