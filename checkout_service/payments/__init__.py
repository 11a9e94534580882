"""Payments: what became of the money.

Holds payments, their attempts, the events that providers reported about them, notices for a person and what persons
answered, and requests to cancel.
Promises: checkout inserts a payment as pending. From then on its status is computed of its entries, by
``payments_fold`` alone (migrations/entries/fold.sql). Entries go one way; so the status may go back.
Never: updates a payment (the role checkout_web may not), reads a webhook secret.
"""
