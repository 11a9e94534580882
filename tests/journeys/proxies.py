"""The proxies of deploy/, started as they are written there, but for the addresses; and what they hand on, seen."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from checkout_service.local.guard import Guard
from checkout_service.local.launch import Server
from checkout_service.local.servers import free_port
from tests.conftest import ROOT

PROXIES: Final = ("nginx", "caddy")

NGINX: Final = """
daemon off; pid nginx.pid; error_log error.log; worker_processes 1; {user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    set_real_ip_from 127.0.0.0/8; real_ip_header X-Played-Address;
    include checkout.conf;
}}
"""

COMPRESSES: Final = {
    "nginx": (
        "gzip off;",
        'gzip on; gzip_proxied any; gzip_types application/json; proxy_set_header Accept-Encoding "";',
    ),
    "caddy": ("\treverse_proxy ", "\tencode gzip {\n\t\tminimum_length 100\n\t}\n\treverse_proxy "),
}
"""What is written in place of what, so that a proxy compresses what comes to it as it is."""


def program_of(name: str) -> str | None:
    """Where a proxy's program is; None if it is not installed."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def proxy(name: str, folder: Path, *, upstream: int, cookie: str = "guest", compresses: bool = False) -> Iterator[int]:
    """The port of a proxy in front of ``upstream``. Skips where the program is not installed.

    With ``compresses`` it compresses what it hands back by itself, as one might that is not as in deploy/.
    """
    program = program_of(name)
    if program is None:
        pytest.skip(f"NO {name.upper()}: install Debian's {name} to have deploy/{name} tested")
    port, home = free_port(), folder / name
    home.mkdir()
    text = (ROOT / "deploy" / name / ("checkout.conf" if name == "nginx" else "Caddyfile")).read_text(encoding="utf-8")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}").replace("__Host-guest", cookie)
    if compresses:
        before, after = COMPRESSES[name]
        assert before in text
        text = text.replace(before, after)
    if name == "nginx":
        text, changed = re.subn(r"listen 80;", f"listen 127.0.0.1:{port};", text)
        (home / "checkout.conf").write_text(text, encoding="utf-8")
        main = NGINX.format(user="user root;" if os.geteuid() == 0 else "")
        (home / "nginx.conf").write_text(main, encoding="utf-8")
        command = [program, "-p", str(home), "-e", "error.log", "-c", "nginx.conf"]
    else:
        text, changed = re.subn(r"(?m)^shop\.example \{", f"http://127.0.0.1:{port} {{", text)
        options = "{\n\tadmin off\n\tauto_https off\n\tstorage file_system .\n}\n"
        (home / "Caddyfile").write_text(options + text, encoding="utf-8")
        command = ["/usr/bin/env", "HOME=.", program, "run", "--adapter", "caddyfile", "--config", "Caddyfile"]
    assert changed == 1
    with closing(Guard()) as guard:
        server = Server(
            name=name,
            command=command,
            folder=home,
            pid_file=home / "none.pid",
            guard=guard,
            ask_to_end=signal.SIGTERM,
            answers=lambda: _listens(port),
        )
        with server.start():
            yield port


@contextmanager
def looking_glass() -> Iterator[int]:
    """The port of a server that answers with what it was sent: its line, its headers as pairs, its body's length."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            seen = {"line": self.requestline, "headers": self.headers.items(), "length": len(self.rfile.read(length))}
            shown = json.dumps(seen).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(shown)))
            self.end_headers()
            self.wfile.write(shown)

        do_GET = do_POST  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
