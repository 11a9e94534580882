"""Checks of the extension that the catalogue's words are compared by: there, and with the functions that need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checkout_service.database.engine import database_names, execute
from checkout_service.database.statements import Statement
from checkout_service.doctor.findings import Finding, ok, wrong

ABOUT: Final = "unaccent"

# The function is looked for by its name, since a statement that calls one that is missing tells of nothing else.
_there: Final = Statement("""
    SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'unaccent') AS is_installed,
        EXISTS (SELECT FROM pg_available_extensions WHERE name = 'unaccent') AS is_on_server,
        to_regprocedure('catalogue_words(text)') IS NOT NULL AS has_functions
""")

_WRITE_ANEW: Final = "UPDATE listings SET search = NULL"

_compared: Final = Statement("SELECT catalogue_words('Café') = ARRAY['cafe'] AS is_plain")


def check_extensions() -> Iterator[Finding]:
    """Without it nobody finds a listing by a word, and no listing can be written."""
    (found,) = execute(_there, {})
    names = database_names()
    functions = "`checkout database search | psql`, or the migrations if they have not run."
    if not found.is_installed:
        install = "" if found.is_on_server else "Install the package postgresql-contrib on the server, or allow it. "
        yield wrong(
            ABOUT,
            "the extension is missing: no search, and no import of the catalogue",
            f"{install}As the owner of the database or a superuser: CREATE EXTENSION unaccent; then as {names.owner}: "
            f"{functions}",
        )
    elif not found.has_functions:
        yield wrong(
            ABOUT,
            "the functions that need it are missing: no search, and no import of the catalogue",
            f"As {names.owner}: {functions}",
        )
    elif not execute(_compared, {})[0].is_plain:
        yield wrong(
            ABOUT,
            "its rules leave accents as they are",
            f"Put the server's unaccent.rules back, then write the words anew as {names.owner}: {_WRITE_ANEW}.",
        )
    else:
        yield ok(ABOUT, "words of the catalogue are compared without accents")
