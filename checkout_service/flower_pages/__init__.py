"""Flower pages: what Flower lacks.

Holds Retry for failed tasks: an API, a button on a task's page, and a page of all that failed. And what waits in the
queues, whether or not a worker was heard.
Promises: only a task whose one argument is an id is sent again, with who is signed in.
Nothing but the health check is open, and guessing at passwords is slow. Flower's read-only mode holds here too.
Never: opens the database: the worker writes the replay into the audit. Only Flower loads this room, by
flower_settings.py.
"""
