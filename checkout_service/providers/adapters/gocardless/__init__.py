"""GoCardless: how its webhooks are verified and parsed, and how it is called.

Holds everything that is true of this provider alone.
Promises: values in, values out; whatever it sends ends as values or as one of the errors of providers.base.
Never: knows the database, Flask, Celery or another provider.
"""
