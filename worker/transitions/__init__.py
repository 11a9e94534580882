"""Transitions: the only code that moves a payment or a refund.

Holds the rules, the statements, and the outcome of each provider event.
Promises: any order, any repetition and any split over workers ends in the same status, in a fixed number of statements.
Never: calls a provider.
"""
