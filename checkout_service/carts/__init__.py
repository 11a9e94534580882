"""Carts: what the customer wants.

Holds one open cart for each customer and guest, its lines and currency, the row that says that a customer exists, and
the merge of a guest's cart into a customer's.
Promises: a listing has one line, however many requests race, and a cart one currency. A customer's cart is emptied, and
never deleted; a guest's goes when nobody came back to it.
Never: opens a payment or moves one; a merge has those canceled that nobody began.
"""
