"""Statements of a bank, read as lines of one account: camt.053 as XML, alone or zipped, and MT940.

Holds a reader for each form, and what their references are made of.
Promises: each statement proves itself, since its opening balance and its entries are its closing balance.
Never: knows a table, keeps the name or the account of another party.
"""
