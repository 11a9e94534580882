#!/bin/sh
# psycopg 3.3: a statement of more than 4,096 characters, or of more than 50 parameters, is parsed anew at each execution.
#
# For its placeholders psycopg splits each statement, and keeps the result for the next time, but only of short ones. That is
# in no page about prepared statements, which are kept on the server whatever their length: a statement that grows by a comment
# or by its indentation across the line costs the client the whole parse at each call.
# Statements of that length should have no indents, and long lists of parameters be one array.
#
# Seen: version 3.3.9 prints "10 executions: 1 parse of 4,096 characters, 10 of 4,097; 1 of 50 parameters, 10 of 51".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import cProfile
import pstats
from importlib.metadata import version

from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer


def parses(statement, parameters):
    """How often ten executions of a statement split it, as a cursor converts it for each."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(10):
        PostgresQuery(Transformer()).convert(statement, parameters)
    profile.disable()
    calls = pstats.Stats(profile).stats
    return sum(found[1] for name, found in calls.items() if name[2] == "_split_query")


def long(length):
    return "SELECT %(a)s".ljust(length)


def wide(number):
    return "SELECT " + ", ".join(f"%(p{place})s" for place in range(number)), {f"p{place}": 1 for place in range(number)}


seen = (parses(long(4096), {"a": 1}), parses(long(4097), {"a": 1}), parses(*wide(50)), parses(*wide(51)))
print(
    f"psycopg {version('psycopg')}: 10 executions: {seen[0]} parse of 4,096 characters, {seen[1]} of 4,097; "
    f"{seen[2]} of 50 parameters, {seen[3]} of 51"
)
assert seen == (1, 10, 1, 10), "the behaviour has changed"
PYTHON
