"""Carts: what the customer wants.

Holds one open cart for each customer, its lines, and the row that says that a customer exists.
Promises: a listing has one line, however many requests race. A cart is emptied, and never deleted.
Never: knows of paying.
"""
