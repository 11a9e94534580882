#!/bin/sh
# Granian 2.8: an RSGI stream takes all that it is given, though its client reads nothing.
#
# An application that streams awaits each piece, and takes that for the pace of its reader: asyncio's own streams wait in
# drain(), and Granian's WSGI asks for the next piece once there is room. RSGI's send_bytes() is done at once, always. What
# the client has not read lies in the server's memory, without a bound. So an export of any size is in memory as a whole
# for each slow reader. A file (response_file) is read no faster than its client takes it.
#
# Seen: version 2.8.7 prints "of 64 MiB to a client that reads nothing, taken: stream all, file under 8 MiB".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "granian==2.8.7" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
cat >"$folder/pieces.py" <<'PYTHON'
import os
import threading
from pathlib import Path

PIECE, COUNT = b"x" * 65536, 1024


def note(name, taken):
    Path(name).write_text(str(taken))


def feed(number):
    taken = 0
    try:
        while taken < COUNT * len(PIECE):
            taken += os.write(number, PIECE)
            note("file", taken)
    except BrokenPipeError:
        pass


class App:
    async def __rsgi__(self, scope, protocol):
        if scope.path == "/stream":
            transport = protocol.response_stream(200, [("content-type", "text/plain")])
            for number in range(COUNT):
                await transport.send_bytes(PIECE)
                note("stream", (number + 1) * len(PIECE))
            return
        reading, writing = os.pipe()
        threading.Thread(target=feed, args=(writing,), daemon=True).start()
        protocol.response_file(200, [("content-type", "text/plain")], f"/dev/fd/{reading}")


app = App()
PYTHON
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

MIB = 2**20
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
command = [str(Path(sys.executable).parent / "granian"), "--interface", "rsgi", "--port", str(port), "pieces:app"]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def taken(name):
    """Bytes that the server has taken for a client that asks, and reads nothing for three seconds."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(3)
        return int(Path(name).read_text())


try:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)
    stream, file = taken("stream"), taken("file")
finally:
    server.terminate()
    server.wait()
print(f"version {version('granian')}: stream {stream / MIB:.1f} MiB, file {file / MIB:.1f} MiB")
assert stream == 64 * MIB and file < 8 * MIB, (stream, file)
print("of 64 MiB to a client that reads nothing, taken: stream all, file under 8 MiB")
PYTHON
