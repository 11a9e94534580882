"""Transitions: the only code that moves a payment or a refund.

Holds the rules, the statements, and what each provider event did.
Promises: any order, any repetition and any split over workers ends in the same status, in a fixed number of statements.
Never: calls a provider.
"""
