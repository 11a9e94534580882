"""Payments: what became of the money.

Holds payments, the facts that providers reported of them, and requests to call one off. Born pending, by checkout.
Promises: from then on only the worker's ledger moves it, along the one-way street; all others read.
Never: updates a payment, reads a webhook secret.
"""
