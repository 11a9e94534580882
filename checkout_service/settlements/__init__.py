"""Settlements: what providers and the bank say was paid out, beside what we believe we sold.

Holds files as they were read, payouts, the entries that these are made of, and what each is matched with.
Promises: nothing is entered that does not prove itself, or that a person has not accepted; nothing is deleted.
Never: writes in the web tier or in a worker (``checkout settlements`` does), locks a row of a customer's payment.
"""
