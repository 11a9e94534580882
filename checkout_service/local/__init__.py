"""One machine: embedded servers, demo data and a demo purchase behind two commands.

Holds what ``make run``, ``make demo`` and the tests start: PostgreSQL, Valkey and the processes of the Procfile.
Promises: what it started is gone when it ends, however it ends.
Never: runs in production; no room of the service imports it.
"""
