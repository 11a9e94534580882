"""Functions in the database are what the files of the migrations say, also those that one changed as they stood."""

from __future__ import annotations

import re
import runpy
from collections import defaultdict
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.migrations.conftest import MIGRATIONS, Alembic

_HEAD = r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)"
DEFINED = re.compile(rf"{_HEAD} (\w+)\s*\((?:(?!{_HEAD}).)*?\bAS (\$\w*\$)(.*?)\2", re.DOTALL)

PLANS_OF_ONE, HOLDS_BY_KEY = (
    runpy.run_path(str(MIGRATIONS / "versions" / name))
    for name in ("0038_plans_of_one_payment.py", "0040_holds_by_key.py")
)
REPLACED = [
    (function.partition("(")[0], texts)
    for migration in (PLANS_OF_ONE, HOLDS_BY_KEY)
    for function, texts in migration["BY_KEY"].items()
]

WITH_SETTINGS = {PLANS_OF_ONE[name].partition("(")[0] for name in ("SETTLE", "LOCK_CARTS")}

REWRITTEN = {"guest_merge", "person_erase_rows", "refunds_guard"}
"""Changed likewise by migrations that a release has."""


def in_files() -> dict[str, set[str]]:
    """The bodies that files define, by the function's name."""
    found = defaultdict[str, set[str]](set)
    for path in (*MIGRATIONS.glob("*/*.sql"), *MIGRATIONS.glob("versions/*.py")):
        for name, _, body in DEFINED.findall(path.read_text(encoding="utf-8")):
            found[name].add(body)
    return found


def in_database(url: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = list(
            connection.execute(
                text("""SELECT proname AS name, prosrc AS body, array_to_string(proconfig, ' ') AS settings
                FROM pg_proc JOIN pg_language ON pg_language.oid = prolang AND lanname IN ('plpgsql', 'sql')
                WHERE pronamespace = current_schema()::regnamespace AND prosqlbody IS NULL""")
            )
        )
    engine.dispose()
    return found


def test_each_function_is_as_a_file_has_it(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "head")
    files, others = in_files(), []
    for function in in_database(fresh_database):
        body = function.body
        for name, (before, after) in REPLACED:
            if name == function.name:
                assert before not in body
                assert after in body
                body = body.replace(after, before)
        if body not in files[function.name]:
            others.append(function.name)

    assert set(others) == REWRITTEN


@pytest.mark.parametrize(
    ("migration", "settings"), [(PLANS_OF_ONE, WITH_SETTINGS), (HOLDS_BY_KEY, set[str]())], ids=["0038", "0040"]
)
def test_functions_that_were_changed_are_on_the_way_back_what_they_were(
    fresh_database: str, alembic: Alembic, migration: dict[str, Any], settings: set[str]
) -> None:
    """The release before runs beside it, and after a way back alone."""
    alembic("upgrade", str(migration["down_revision"]))
    before = in_database(fresh_database)
    alembic("upgrade", str(migration["revision"]))
    changed = {tuple(each) for each in in_database(fresh_database)} - {tuple(each) for each in before}
    assert {name for name, *_ in changed} == {*(name.partition("(")[0] for name in migration["BY_KEY"]), *settings}

    alembic("downgrade", "-1")
    assert {tuple(each) for each in in_database(fresh_database)} == {tuple(each) for each in before}
