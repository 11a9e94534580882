"""Console: where operators look at webhooks and payments, and order what is to be done about them.

Holds the pages under /ops and the audit of every order: who, when, what and why.
Promises: an order is kept before it is acted on, is never changed or taken back, and does no harm when sent twice.
Never: moves a payment or a webhook; the worker carries the orders out. The app alone comes in.
"""
