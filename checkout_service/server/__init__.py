"""Server: how a web process takes requests, and how it ends.

Holds what lies between Granian and the application: bodies, slots, the wait queue, CORS, draining.
Promises: slow senders, slow providers and floods cost the others nothing. A process that ends loses no request.
Never: knows a room with routes. Only here Granian's private names are used.
"""
