#!/bin/sh
# Granian 2.8: over WSGI a header with a byte beyond ASCII arrives as an empty one.
#
# RFC 9110, section 5.5, lets a field value hold such bytes, and PEP 3333 has servers hand them on as Latin-1. Granian
# hands on the header with an empty value, so an application that asks for its value takes it for one that is missing.
# A browser sends the cookies of all applications at an address in one header: one of a neighbour hides all the others.
# No error, no line in the log. An application sees the difference only in that the name is there.
#
# Seen: version 2.8.7 prints "plain: 'mine=1', with a byte beyond ASCII: ''".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "granian==2.8.7" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
cat >"$folder/echo.py" <<'PYTHON'
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(environ.get("HTTP_COOKIE")).encode()]
PYTHON
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import http.client
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--port", str(port), "echo:app"]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seen(cookie):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/", headers={"Cookie": cookie})
    return connection.getresponse().read().decode()


try:
    for _ in range(100):
        try:
            plain = seen(b"mine=1")
            break
        except OSError:
            time.sleep(0.1)
    beyond = seen("mine=1; theme=caf\u00e9".encode())
finally:
    server.terminate()
    server.wait()
print(f"Granian {version('granian')}: plain: {plain}, with a byte beyond ASCII: {beyond}")
assert (plain, beyond) == ("'mine=1'", "''"), "the behaviour has changed"
PYTHON
