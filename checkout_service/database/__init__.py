"""Database: the way to PostgreSQL.

Holds one engine a process, single statements in autocommit, and the only transactions.
Promises: every wait has a bound on the client; a database that is away fails at once and in one way.
Never: knows a table. Nobody else commits or rolls back.
"""
