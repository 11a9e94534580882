"""Providers: who takes the money, each in a folder that describes itself.

Holds, for each, how a payment is opened, a webhook verified and parsed, the truth looked up, a payment canceled and
money given back; and the registry, which knows who is installed.
Promises: values in, values out. Every failure is a named error (see base). Verifying and parsing are one act. Nobody
outside an adapter's folder names it.
Never: knows Flask, the database, Celery or another provider; loads an adapter that has no account.
"""
