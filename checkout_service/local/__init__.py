"""Local: the service on one machine, by one command.

Holds what ``make run``, ``make demo`` and the tests start: PostgreSQL, Valkey, a mock provider, demo data, and the
processes of the Procfile.
Promises: what it started ends with it, however it ends. Each process gets only the settings that it needs.
Never: runs in production, but to take the demo catalogue off sale there. No other room imports it.
"""
