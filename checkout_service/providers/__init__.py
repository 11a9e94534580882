"""Providers: provider adapters, one folder a provider.

Holds, for each, how a payment is opened, a webhook read, the truth looked up and a payment canceled.
Promises: values in, values out; every failure is a named error (see base); verifying and parsing are one act.
Never: knows Flask, the database, Celery or another provider.
"""
