"""Health: whether a process is up, and whether it can do its work.

Holds /livez, /readyz and /metrics, and the gauges that the database answers at a scrape.
Promises: a database that is away is reported within a bounded time.
Never: changes a row.
"""
