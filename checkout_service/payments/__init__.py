"""Payments: what became of the money.

Holds payments, the events that providers reported of them, and requests to call one off. Born pending, by checkout.
Promises: from then on only the worker's transitions moves it, along the status order; all others read.
Never: updates a payment, reads a webhook secret.
"""
