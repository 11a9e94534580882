"""Server: how a web process takes requests, and how it ends.

Holds what lies between Granian and the application: bodies, slots, the wait queue, and draining.
Promises: slow senders, slow providers and floods cost the others nothing; a process that ends loses no request.
Never: knows a room. serve.py alone comes in; this is the only room that uses Granian's private names.
"""
