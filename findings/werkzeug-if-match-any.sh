#!/bin/sh
# Werkzeug 3.1: If-Match: * is never met, and a 412 carries the whole content.
#
# Response.make_conditional() compares If-Match with the answer's ETag by strong comparison alone. "*" stands for any
# representation there is (RFC 9110, section 13.1.1), so it should be met by every answer of 200. And where If-Match is
# not met, the status becomes 412 while the body stays: a client that checks no status takes it for what it asked for.
# Whoever uses make_conditional() has to take "*" out of the request, and the body out of a 412.
#
# Seen: version 3.1.9 prints "If-Match: * gives 412, another ETag 412 with 6 bytes".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "werkzeug==3.1.9" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response


def conditional(if_match):
    request = Request(EnvironBuilder(headers={"If-Match": if_match}).get_environ())
    answer = Response(b"secret")
    answer.add_etag()
    answer.make_conditional(request)
    return answer


met, unmet = conditional("*"), conditional('"another"')
print(
    f"Werkzeug {version('werkzeug')}: If-Match: * gives {met.status_code}, "
    f"another ETag {unmet.status_code} with {len(unmet.get_data())} bytes"
)
assert (met.status_code, unmet.status_code, unmet.get_data()) == (412, 412, b"secret"), "the behaviour has changed"
PYTHON
