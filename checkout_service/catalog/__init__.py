"""Catalog: what can be bought, at what price.

Holds vendors, schools, specs and listings. ``flask catalog import`` writes them.
Promises: an import is written as a whole or not at all. A listing that is in a cart cannot be deleted.
Never: knows who buys.
"""
