"""Payments: what became of the money.

Holds payments, the events that providers reported about them, and requests to cancel them.
Promises: checkout inserts a payment as pending. From then on only worker/transitions moves it, along the status order.
Never: updates a payment (the role checkout_web may not), reads a webhook secret.
"""
