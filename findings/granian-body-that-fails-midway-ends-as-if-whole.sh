#!/bin/sh
# Granian 2.8: over WSGI a body whose iterator raises midway is ended like one that is whole.
#
# PEP 3333 has a server that cannot go on abort the response, and RFC 9112, section 8, has a client take an answer for
# incomplete only where the last chunk, or bytes of its length, are missing. Granian logs the error, sends the last chunk,
# and keeps the connection: half of an export that breaks off, as where the database goes away, looks complete to its
# reader, to a proxy and to a cache. With a Content-Length the same is seen as what it is.
#
# Seen: version 2.8.7 prints "no length: a complete answer of 2 rows; with a length: incomplete".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "granian==2.8.7" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
cat >"$folder/export.py" <<'PYTHON'
def app(environ, start_response):
    headers = [("Content-Type", "text/csv")]
    if environ["PATH_INFO"] == "/length":
        headers.append(("Content-Length", "18"))
    start_response("200 OK", headers)
    return rows()


def rows():
    yield b"row 1\n"
    yield b"row 2\n"
    raise RuntimeError("the database went away before row 3")
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
command = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--port", str(port), "export:app"]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def seen(path):
    """What a client makes of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return f"a complete answer of {connection.getresponse().read().count(b'row')} rows"
    except ConnectionRefusedError:
        raise
    except (http.client.HTTPException, ConnectionError):
        return "incomplete"


try:
    for _ in range(100):
        try:
            without = seen("/")
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    within = seen("/length")
finally:
    server.terminate()
    server.wait()
print(f"Granian {version('granian')}: no length: {without}; with a length: {within}")
assert (without, within) == ("a complete answer of 2 rows", "incomplete"), "the behaviour has changed"
PYTHON
