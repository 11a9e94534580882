"""The worker: the hands.

Holds the tasks: webhooks opened and recorded, payments looked up and expired, what is old pruned.
Promises: the only code that changes a payment; every task may run twice at once, or die anywhere.
Never: imports routes or schemas, or talks to a provider inside a transaction.
"""
