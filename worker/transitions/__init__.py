"""Transitions: the only code that enters what providers report of payments and refunds.

Holds how entries are found, joined and written, and the outcome of each provider event. What a payment is of its
entries the database computes: ``payments_fold`` (migrations/entries/fold.sql).
Promises: any order, any repetition and any split over workers ends in the same status, in a fixed number of statements.
Never: calls a provider.
"""
