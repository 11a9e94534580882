"""Catalog: what can be bought, at what price.

Holds vendors, schools, specs and listings, what those cost in other currencies, and their words, by which everybody
finds them. ``checkout catalog import`` writes all of it.
Promises: an import is written as a whole or not at all, and brings no stock below what is reserved unless somebody
accepts it. A listing that is in a cart cannot be deleted.
Never: knows who buys.
"""
