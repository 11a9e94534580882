"""Server: how a web process takes requests, and how it ends.

Holds what lies between Granian and the application: bodies, slots, the wait queue, and draining.
Promises: slow senders, slow providers and floods do not stop other requests; a process that ends loses no request.
Never: knows a room with routes. serve.py comes in to start it, the app for its bounds, checkout to release a slot.
No other room uses Granian, or any private name of it.
"""
