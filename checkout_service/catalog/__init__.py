"""Catalog: what can be bought, at what price.

Holds vendors, schools, specs and listings; they come in by ``flask catalog import``.
Promises: an import is all or nothing, and a listing that stands in a cart cannot be deleted.
Never: knows who buys.
"""
