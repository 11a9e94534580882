"""Settled money: what providers and the bank say was paid out, beside what we believe we sold.

Holds files of reports, payouts, the entries that they are made of, and what of ours those are matched with. Promises
that a file is entered whole and only where it proves itself, that any order and cut of the same lines comes to the
same, and that nothing is deleted.

Never: moves money, changes or locks a row of a payment, keeps a customer's name; nothing stays running for it.
"""
