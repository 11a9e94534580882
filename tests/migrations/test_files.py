"""The migrations' files: none is edited, none names a schema, and where a rule lies is told where it is looked for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from tests.conftest import ROOT
from tests.migrations.conftest import MIGRATIONS

HASHES = MIGRATIONS / "hashes.txt"

ROOMS = (
    *("baseline", "entries", "bounds", "orders", "events", "guests", "merges", "webhooks", "restores", "traces"),
    *("sources", "pieces", "references", "settlements"),
)

FILES = sorted(
    path.relative_to(MIGRATIONS).as_posix()
    for folder in ("versions/*.py", *map("{}/*".format, ROOMS))
    for path in MIGRATIONS.glob(folder)
)

WAYS_BACK = {"entries/take_away.sql", "entries/sums_of_before.sql"}

SOURCES = {
    path: path.read_text(encoding="utf-8")
    for room in ("checkout_service", "worker")
    for path in (ROOT / room).rglob("*.py")
}


def changed(folder: Path, hashes: str) -> list[str]:
    """What is wrong with the files of the folder, in words that say what to do."""
    known = {path: digest for digest, path in (line.split("  ") for line in hashes.splitlines())}
    wrong = [
        f"{path} has no hash. If it is done: cd migrations && sha256sum {path} >> hashes.txt (docs/migrations.md)"
        for path in FILES
        if path not in known
    ]
    for path, digest in known.items():
        file = folder / path
        if not file.exists() or sha256(file.read_bytes()).hexdigest() != digest:
            wrong.append(
                f"{path} was changed, and databases have run it as it was. Put it back (git checkout), and write a new "
                f"migration for what is to change (docs/migrations.md)."
            )
    return wrong


def test_no_migration_is_ever_edited() -> None:
    assert changed(MIGRATIONS, HASHES.read_text(encoding="utf-8")) == []


def test_a_migration_that_is_edited_or_new_or_gone_is_found_out(tmp_path: Path) -> None:
    shutil.copytree(MIGRATIONS, tmp_path, dirs_exist_ok=True)
    lines = {path: f"{sha256((tmp_path / path).read_bytes()).hexdigest()}  {path}\n" for path in FILES}
    hashes = "".join(lines.values())
    assert changed(tmp_path, hashes) == []

    for path, line in lines.items():
        (new,) = changed(tmp_path, hashes.replace(line, ""))
        assert new.startswith(f"{path} has no hash")
    for path in FILES:
        file = tmp_path / path
        content = file.read_bytes()
        file.write_bytes(content + b"\n")
        (edited,) = changed(tmp_path, hashes)
        assert edited.startswith(f"{path} was changed")
        file.unlink()
        assert changed(tmp_path, hashes) == [edited]
        file.write_bytes(content)


@pytest.mark.parametrize("path", [*FILES, "script.py.mako"])
def test_no_migration_names_a_schema(path: str) -> None:
    """In capitals, PUBLIC is every role."""
    statements = (MIGRATIONS / path).read_text(encoding="utf-8")

    assert not re.search(r"\bpublic\b", statements)
    set_by_name = [line for line in statements.splitlines() if re.search(r"search_path\s*(=|TO)(?! %I)", line)]
    assert set_by_name == []


def test_a_file_that_is_named_in_the_rooms_is_there() -> None:
    named = {name for source in SOURCES.values() for name in re.findall(r"migrations/[a-z]\w*/\w+\.\w+", source)}

    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def triggers() -> list[str]:
    """The triggers of a database that is up to date, by name."""
    up = "".join((MIGRATIONS / path).read_text(encoding="utf-8") for path in FILES if path not in WAYS_BACK)
    return sorted(set(re.findall(r"CREATE TRIGGER (\w+)", up)) - set(re.findall(r"DROP TRIGGER (\w+)", up)))


@pytest.mark.parametrize("trigger", triggers())
def test_a_rule_that_lives_in_the_database_is_named_where_it_is_looked_for(trigger: str) -> None:
    """Whoever reads the room's code finds the trigger's name there, and beside it the file that makes it."""
    (file,) = [
        path
        for path in FILES
        if re.search(rf"CREATE TRIGGER {trigger}\b", (MIGRATIONS / path).read_text(encoding="utf-8"))
    ]
    telling = [path for path, source in SOURCES.items() if trigger in source and f"migrations/{file}" in source]

    assert telling, f"no docstring names {trigger} and migrations/{file}"


def test_a_new_migration_is_well_formed_and_asks_whether_it_expands_or_contracts(tmp_path: Path) -> None:
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    command.revision(Config(tmp_path / "migrations" / "alembic.ini"), "refunds get a colour", rev_id="9999")
    (made,) = (tmp_path / "migrations" / "versions").glob("9999_*.py")

    assert made.name == "9999_refunds_get_a_colour.py"
    assert "Expand or contract" in made.read_text(encoding="utf-8")
    made.write_text(made.read_text(encoding="utf-8").replace("pass", 'op.execute("SELECT 1")'), encoding="utf-8")
    for check in (["check"], ["format", "--check"]):
        arguments = [sys.executable, "-m", "ruff", *check, "--config", str(ROOT / "pyproject.toml"), str(made)]
        judged = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout
