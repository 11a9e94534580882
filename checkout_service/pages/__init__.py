"""Pages: what people see in a browser.

Holds the look that all pages share, and a small shop to try the service with: listings, a cart, a payment to watch.
Promises: a page asks and changes things by the same queries and operations as the API; no script, style or picture
from outside, and none inside a page.
Never: moves a payment, reads a webhook secret. The app alone comes in, and the console for the shared look.
"""
