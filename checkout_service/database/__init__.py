"""Database: the only way to PostgreSQL.

Holds one engine for each process, single statements in autocommit, and the only transactions.
Promises: every wait has a bound on the client. A database that is away fails at once, as DatabaseUnavailableError.
Never: knows a table. No other room commits or rolls back.
"""
