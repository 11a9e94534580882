"""Publishing: the one door to Celery.

Holds the publisher of tasks, and two background threads: one wakes workers for webhooks, one sends all other tasks.
Promises: whoever publishes waits a bounded time, or not at all. A message may be lost: the row says what is to be done.
Never: runs a task.
"""
