"""Carts: what the customer wants.

Holds one open cart a customer, its lines, and the row that says a customer exists.
Promises: never two lines for one listing, however many requests race; a cart is emptied, never deleted.
Never: knows of paying.
"""
