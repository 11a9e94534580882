"""Console: where operators look at webhooks and payments, and give commands.

Holds the pages under /ops, and who may open them.
Promises: a form that is sent twice is one command. No page reads more rows than a fixed bound.
Never: moves a payment or a webhook: a command is a row of the audit, and the worker carries it out. Only the app
imports this room.
"""
