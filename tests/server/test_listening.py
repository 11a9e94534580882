"""Where the web process finds its sockets and its code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from checkout_service.server.listening import _by_port, _folder_by_name
from tests.conftest import ROOT
from tests.server.releases import ENVIRONMENT, Releases, eventually


def test_a_folder_is_known_by_the_name_that_led_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "release"
    (release / ".venv" / "bin").mkdir(parents=True)
    link = tmp_path / "current"
    link.symlink_to(release)
    monkeypatch.chdir(release)

    assert _folder_by_name({"PWD": str(link)}) == link
    assert _folder_by_name({"PWD": str(tmp_path)}) == release, "another folder's name is none of ours"
    monkeypatch.setattr(sys, "executable", str(link / ".venv" / "bin" / "python"))
    assert _folder_by_name({}) == link, "as systemd names it"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"PORT": "web"}, "settings:\nPORT: Not a valid integer.\n"),
        ({"PORT": "1", "MANAGEMENT_PORT": "1"}, "settings:\nMANAGEMENT_PORT: must not be PORT\n"),
    ],
)
def test_settings_that_are_wrong_end_it_once_with_what_is_wrong(given: dict[str, str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "serve.py", "wsgi:app"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == words


def test_its_settings_are_read_where_whoever_started_it_ignores_children_that_end() -> None:
    reads = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from checkout_service.server.listening import _read_settings; print(_read_settings().port)"
    )
    done = subprocess.run(
        [sys.executable, "-c", reads],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, "PORT": "8123"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "8123\n", "")


def test_a_socket_of_systemd_that_no_setting_names_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert _by_port([held], "127.0.0.1", {port, 0}) == {port: held}
        assert _by_port([held], "localhost", {port, 0}) == {port: held}
        with pytest.raises(SystemExit, match=str(port)):
            _by_port([held], "127.0.0.1", {8000, 0})
        with pytest.raises(SystemExit, match="twice"):
            _by_port([held, held], "127.0.0.1", {port, 0})


@pytest.mark.parametrize(
    ("host", "held", "fits"),
    [
        ("127.0.0.1", "0.0.0.0", False),  # noqa: S104
        ("0.0.0.0", "127.0.0.1", False),  # noqa: S104
        ("0.0.0.0", "::", True),  # noqa: S104
        ("::", "0.0.0.0", False),  # noqa: S104
        ("::1", "::", False),
        ("0:0:0:0:0:0:0:0", "::", True),
        ("127.0.0.1", "::", False),
    ],
)
def test_nobody_is_let_in_where_the_setting_keeps_them_out(host: str, held: str, fits: bool) -> None:
    family = socket.AF_INET6 if ":" in held else socket.AF_INET
    with socket.create_server((held, 0), family=family) as listener:
        port = listener.getsockname()[1]
        if fits:
            assert _by_port([listener], host, {port}) == {port: listener}
            return
        with pytest.raises(SystemExit, match="HOST is"):
            _by_port([listener], host, {port})


def test_a_unix_socket_of_systemd_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "web"))
        held.listen()
        with pytest.raises(SystemExit, match="no address of TCP"):
            _by_port([held], "127.0.0.1", {8000})


def test_who_connects_while_nothing_serves_waits_at_the_socket_that_systemd_holds(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.put("first")
    # What systemd does: it listens, and a process of its own number inherits the socket as file 3.
    code = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); "
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
        "os.execv(sys.executable, [sys.executable, 'serve.py', 'release:app'])"
    )
    with socket.create_server(("127.0.0.1", 0), backlog=100) as held:
        port = held.getsockname()[1]

        def start() -> subprocess.Popen[bytes]:
            environment = {**os.environ, **ENVIRONMENT, "PORT": str(port), "WEB_CONCURRENCY": "1"}
            return subprocess.Popen(
                [sys.executable, "-c", code, str(held.fileno())],
                cwd=releases.current, env=environment, pass_fds=[held.fileno()],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

        first = start()
        try:
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/", timeout=30).text.startswith("first"))
        finally:
            first.terminate()
            assert first.wait(timeout=60) == 0
        with socket.create_connection(("127.0.0.1", port), timeout=240) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            second = start()
            try:
                assert client.recv(15) == b"HTTP/1.1 200 OK"
            finally:
                second.terminate()
                assert second.wait(timeout=60) == 0
