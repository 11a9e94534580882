"""Payments: what became of the money.

Holds payments and the facts that providers reported of them. A payment is born pending, by checkout.
Promises: from then on only the worker's ledger moves it, along the one-way street; all others read.
Never: updates a payment, reads a webhook secret.
"""
