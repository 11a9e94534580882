"""Which schema this code works with: where its migrations are, and the newest of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent

# In an installed package they lie within it, since its top level is shared with others; in a checkout beside it.
MIGRATIONS: Final = next(
    folder for folder in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations") if (folder / "env.py").is_file()
)

HEAD: Final = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""The newest revision, by the number that its file's name begins with. Alembic knows it too, at the cost of 11 MB."""


REVISION: Final = "SELECT version_num, current_schema() AS schema FROM alembic_version"


def what_is_missing(row: Sequence[Any] | None, *, schema: str) -> str | None:
    """What a database lacks for this code, in words; None where it can be worked with. ``row`` is one of REVISION.

    Revisions are numbered. A release migrates first, so old processes see a newer revision for a while, and go on.
    Another application may have a table of that name: where connections do not lead to ``schema``, the tables are not
    looked at at all.
    """
    revision, place = ("", schema) if row is None else (str(row[0]), row[1])
    if place != schema:
        return f"connections lead to the schema {place}, not to {schema}"
    if revision == HEAD or (revision.isdigit() and int(revision) > int(HEAD)):
        return None
    return f"at {revision or 'none'}, behind {HEAD}"
