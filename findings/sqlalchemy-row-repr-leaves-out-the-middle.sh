#!/bin/sh
# SQLAlchemy 2.1: two rows that differ can have the same repr().
#
# repr() and str() of a Row leave out the middle of a long value, also outside of logs. A test that compares rows by
# their printed form (snapshots, sorted(map(repr, rows)), f"{row}") sees no difference in the middle of a text of more
# than 300 characters, such as the source of a database function. Equality of the rows themselves is right, and so is
# repr() of tuple(row).
#
# Seen: version 2.1.9 prints "same repr: True, equal: False, same repr as tuples: False".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "sqlalchemy==2.1.9" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import sqlalchemy as sa

with sa.create_engine("sqlite://").connect() as connection:
    rows = [
        connection.execute(sa.text("SELECT :value AS value"), {"value": "a" * 400 + middle + "b" * 400}).one()
        for middle in ("ONE", "TWO")
    ]
same, equal = repr(rows[0]) == repr(rows[1]), rows[0] == rows[1]
as_tuples = repr(tuple(rows[0])) == repr(tuple(rows[1]))
print(f"SQLAlchemy {sa.__version__}: same repr: {same}, equal: {equal}, same repr as tuples: {as_tuples}")
assert (same, equal, as_tuples) == (True, False, False), "the behaviour has changed"
PYTHON
