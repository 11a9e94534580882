"""Webhook endpoints: where the shop wants its events, their secrets, and what became of the event deliveries.

Holds the endpoints' tables, what staff may ask of them, the secrets that sign, and which addresses may be called.
Promises: a secret is shown once and kept encrypted; a change is one statement with its line in the audit.
Never: sends an event, reads a secret in the web tier, or moves an endpoint's place. The API, commands, the console and
the sender come in.
"""
