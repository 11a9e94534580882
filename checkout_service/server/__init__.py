"""Server: how a web process takes requests, and how it ends.

Holds what lies between Granian and the application: bodies, slots, the wait queue, CORS, draining. Also the process
above Granian, which holds the listening sockets and has other code take its place.
Promises: slow senders, slow providers and floods cost the others nothing. A process that ends loses no request.
Never: knows a room with routes. Only here Granian's private names are used.
"""
