"""Publishing: the only way to Celery.

Holds the publisher of tasks, and three background threads: one wakes workers for webhooks, one the sender of
events, and one sends all other tasks.
Promises: who publishes waits for a bounded time, or not at all. A message may be lost, since the row says what is due.
Never: runs a task.
"""
