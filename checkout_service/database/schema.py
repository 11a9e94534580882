"""Which schema this code works with: where its migrations are, and the newest of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent

# In an installed package they lie within it, since its top level is shared with others; in a checkout beside it.
MIGRATIONS: Final = next(
    folder for folder in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations") if (folder / "env.py").is_file()
)

HEAD: Final = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""The newest revision, by the number that its file's name begins with. Alembic knows it too, at the cost of 11 MB."""


REVISION: Final = "SELECT version_num FROM alembic_version"


def what_is_missing(revision: str) -> str | None:
    """What a database at this revision lacks for this code, in words; None where it can be worked with.

    Revisions are numbered. A release migrates first, so old processes see a newer revision for a while, and go on.
    """
    if revision == HEAD or (revision.isdigit() and int(revision) > int(HEAD)):
        return None
    return f"at {revision or 'none'}, behind {HEAD}"
