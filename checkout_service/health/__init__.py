"""Health: whether a process is up and can do its work.

Holds /livez, /readyz and /metrics, and what the database knows at a scrape: the backlog.
Promises: a database that is away is told within a bounded time.
Never: changes a row.
"""
