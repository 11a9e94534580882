"""Statements of a bank, read as lines of one account: camt.053 as XML, alone or zipped, and MT940.

Each statement proves itself: its opening balance and its entries are its closing balance. Nothing here knows a table.
"""
