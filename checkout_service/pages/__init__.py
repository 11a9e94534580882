"""Pages: what customers see in a browser.

Holds the look of all pages, and a small shop: listings, a cart, payments to watch, orders.
Promises: a page reads and writes by the same queries and operations as the API. Nothing comes from outside, and no
script or style stands inside a page.
Never: moves a payment, reads a webhook secret. The app imports this room, and the console its look.
"""
