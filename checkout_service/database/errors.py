"""How the database can fail its callers.

    DatabaseUnavailableError    it is away, takes no work, or is too slow
    └── DatabaseLockedError     this one statement waited too long for a row; the database is there for others

Over HTTP both are a 503 with Retry-After: see ``api.problem_documents``.
"""

from __future__ import annotations


class DatabaseUnavailableError(Exception):
    """PostgreSQL is away, takes no work, or was too slow for this statement. Nothing was promised."""


class DatabaseLockedError(DatabaseUnavailableError):
    """A row that this statement needs is held by another transaction for longer than anybody waits."""
