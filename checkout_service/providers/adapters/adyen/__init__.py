"""Adyen: how its webhooks are verified and parsed, and how it is called.

Holds everything that is true of this provider alone.
Promises: values in, values out; whatever it sends that cannot be understood ends as one error.
Never: knows the database, Flask, Celery or another provider.
"""
