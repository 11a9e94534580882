"""Hosts on one machine: each has a network, a name, files and processes of its own, by namespaces of the kernel.

They see the machine's files, and what they write is their own (an overlay over /etc, /opt, /usr and /var). All of it is
in the namespaces of the process that runs the scenarios, so nothing of it is left when that ends.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

NETWORK: Final = "10.211.0"
CLIENT: Final = f"{NETWORK}.1"
"""Where the scenarios' clients are."""

PROGRAMS: Final = (
    *("unshare", "nsenter", "setpriv", "runuser", "bash", "ip", "nft"),
    *("haproxy", "pgbouncer", "redis-cli", "useradd"),
)
"""What has to be installed, beside RabbitMQ and libfaketime."""

FAKETIME: Final = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1")

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_NETWORK_NAMESPACE: Final = 0x40000000
"""CLONE_NEWNET of Linux."""

_RULES: Final = "inet cut"
_SET_UP: Final = """
set -e
mount --make-rprivate /
for place in etc opt usr var; do
    mkdir -p "$1/$place" "$1/work-$place"
    mount -t overlay overlay -o "lowerdir=/$place,upperdir=$1/$place,workdir=$1/work-$place" "/$place"
done
mount -t tmpfs tmpfs /run
hostname "$2"
ip link set lo up
mkdir -p /etc/checkout /opt/checkout /var/lib/checkout /usr/lib/wheels
touch /etc/checkout/.made
echo made
exec sleep infinity
"""


def own_network() -> None:
    """Set up the network that the hosts will share. This process has to be in a network namespace of its own."""
    for command in (
        # Programs leave segments of shared memory there, and a killed one never takes them away.
        "mount -t tmpfs tmpfs /dev/shm",
        "ip link set lo up",
        "ip link add hosts type bridge",
        f"ip addr add {CLIENT}/24 dev hosts",
        "ip link set hosts up",
    ):
        subprocess.run(command.split(), check=True)


class Host:
    """One of them; ``folder`` keeps what it writes, and the logs of its services."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.address = f"{NETWORK}.{10 + number}"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "sh", "-c", _SET_UP, "sh", str(folder), name],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"made\n":
            raise RuntimeError(f"host {name} could not be made")
        link = f"host{number}"
        pid = str(self._process.pid)
        subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pid], check=True)
        subprocess.run(["ip", "link", "set", link, "master", "hosts", "up"], check=True)
        self.run(["ip", "addr", "add", f"{self.address}/24", "dev", "eth0"])
        self.run(["ip", "link", "set", "eth0", "up"])

    def command(self, words: Sequence[str], *, user: str | None = None, folder: str = "/") -> list[str]:
        """The words as this host runs them."""
        inside = ["nsenter", "--target", str(self._process.pid), "--net", "--mount", "--uts"]
        # As systemd has it: what is listened on is descriptor 3 of the process that LISTEN_PID names.
        hand_over = '[ -z "$LISTEN_FROM" ] || { exec 3<&"$LISTEN_FROM"; export LISTEN_PID=$$; }'
        change = ["bash", "-c", f'cd "$0" && {hand_over} && unset LISTEN_FROM && exec "$@"', folder]
        if user is None:
            return [*inside, *change, *words]
        return [*inside, *change, "setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *words]

    def run(
        self,
        words: Sequence[str],
        *,
        user: str | None = None,
        folder: str = "/",
        environment: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> str:
        """Run to the end, and return what was written. Raises RuntimeError, with what was written, if it failed."""
        done = subprocess.run(
            self.command(words, user=user, folder=folder),
            env={"PATH": PATH, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(words)} failed ({done.returncode}):\n{done.stdout[-3000:]}")
        return done.stdout

    def listen(self, address: str, port: int) -> socket.socket:
        """A socket of this host's network that listens."""
        made: list[socket.socket] = []

        def make() -> None:
            # Of this thread alone, which ends with it.
            with open(f"/proc/{self._process.pid}/ns/net", "rb") as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NETWORK_NAMESPACE):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((address, port), backlog=2048))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        (found,) = made
        return found

    def spawn(
        self,
        words: Sequence[str],
        log: Path,
        *,
        user: str | None,
        folder: str,
        environment: Mapping[str, str],
        listener: socket.socket | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process that leads a group of its own, and writes into the log; with a listener that it inherits."""
        listens = {} if listener is None else {"LISTEN_FROM": str(listener.fileno()), "LISTEN_FDS": "1"}
        with log.open("ab") as file:
            return subprocess.Popen(
                self.command(words, user=user, folder=folder),
                env={"PATH": PATH, **environment, **listens},
                pass_fds=() if listener is None else (listener.fileno(),),
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def write(self, path: str, text: str, *, mode: int = 0o644, owner: str | None = None) -> None:
        """Write a file of this host's, below one of the folders that it has a layer of its own over."""
        subprocess.run(
            self.command(["sh", "-c", f'cat > "$0" && chmod {mode:o} "$0"', path]),
            input=text.encode(),
            check=True,
            env={"PATH": PATH},
        )
        if owner:
            self.run(["chown", owner, path])

    def bind(self, source: Path, target: str) -> None:
        """Show a folder of the machine at another place, instead of what was shown there."""
        self.run(["mkdir", "-p", target])
        self.run(["umount", target], check=False)
        self.run(["mount", "--bind", str(source), target])

    def cut_from(self, *others: Host, port: int | None = None) -> None:
        """Drop everything between this host and the others, in both directions; or what is of a port."""
        self.heal()
        which = [""] if port is None else [f" tcp dport {port}", f" tcp sport {port}"]
        for rule in (
            f"add table {_RULES}",
            f"add chain {_RULES} into {{ type filter hook input priority 0 ; }}",
            f"add chain {_RULES} out {{ type filter hook output priority 0 ; }}",
            *(f"add rule {_RULES} out ip daddr {other.address}{what} drop" for other in others for what in which),
            *(f"add rule {_RULES} into ip saddr {other.address}{what} drop" for other in others for what in which),
        ):
            self.run(["nft", *rule.split()])

    def heal(self) -> None:
        """Let everything pass again."""
        self.run(["nft", "delete", "table", *_RULES.split()], check=False)

    def close(self) -> None:
        """End the host; its services have to be stopped."""
        self._process.kill()
        self._process.wait()


def missing() -> list[str]:
    """What is missing here for hosts of our own; empty if they can be made."""
    found = [] if os.geteuid() == 0 else ["root"]
    found += [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    found += [] if Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists() else ["rabbitmq-server"]
    found += [] if FAKETIME.exists() else ["libfaketime"]
    if not found:
        probe: Any = subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False
        )
        found += [] if probe.returncode == 0 else ["namespaces"]
    return found
