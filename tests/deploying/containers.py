"""The image of deploy/image, built and run for real: by buildah and runc, which need no daemon.

The base image cannot be fetched from where tests run, so Debian's own tool makes one that holds the same packages, and
it is named as that one. Containers have no cgroups (limits are not what is tried here), the host's network, a root that
is read-only, and /tmp in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import ROOT

PROGRAMS: Final = ("mmdebstrap", "buildah", "runc", "apt-get")
BASE: Final = "docker.io/library/debian:bookworm-slim"
TAG: Final = "localhost/checkout-service:tests"

_CAPABILITIES: Final = ("bounding", "effective", "inheritable", "permitted", "ambient")


def skip_unless_here() -> None:
    """Skip, and say so, where an image cannot be made."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            f"no image is built: {', '.join(missing) or 'root'} is missing; CONTRIBUTING.md says what installs them"
        )
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    if "VERSION_CODENAME=bookworm" not in release:
        pytest.skip("no image is built: the base image's packages come from Debian 12, which this is not")
    if subprocess.run(["apt-cache", "show", "python3"], capture_output=True, check=False).returncode:
        pytest.skip("no image is built: apt has no lists here; apt-get update fetches them")


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that was built: its configuration as docker reads it, and its files."""

    config: Mapping[str, Any]
    root: Path
    history: Sequence[str]

    @property
    def environment(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.config["Env"])

    @property
    def user(self) -> tuple[int, int]:
        user, group = map(int, self.config["User"].split(":"))
        return user, group


@contextmanager
def built_image(folder: Path) -> Iterator[Image]:
    """Lay out what the image is made of, as ``make image`` does, and build it on a base of our own."""
    storage = ("--root", str(folder / "storage"), "--runroot", str(folder / "run"), "--storage-driver", "overlay")

    def buildah(*arguments: str) -> str:
        return _run("buildah", *storage, *arguments)

    _run("deploy/image/prepare.sh")
    packages = folder / "base.tar"
    _run("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(packages))
    empty = buildah("from", "scratch")
    buildah("add", "--quiet", empty, str(packages), "/")
    buildah("commit", "--quiet", "--rm", "--format", "docker", empty, BASE)
    packages.unlink()
    options = {"BUILDAH_STORAGE": " ".join(storage), "BUILDAH_ISOLATION": "--isolation chroot --pull-never"}
    _run("deploy/image/build.sh", TAG, environment=os.environ | options)
    inspected = json.loads(buildah("inspect", "--type", "image", TAG))
    mounted = buildah("from", "--pull-never", TAG)
    try:
        yield Image(
            config=inspected["Docker"]["config"],
            root=Path(buildah("mount", mounted)),
            history=[layer.get("created_by", "") for layer in inspected["Docker"]["history"]],
        )
    finally:
        buildah("umount", mounted)
        shutil.rmtree(folder / "storage", ignore_errors=True)  # half a gigabyte


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-3000:]}"
    return done.stdout.strip()


class Container:
    """A container that runs; used as a context it has ended afterwards."""

    def __init__(
        self, image: Image, folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """``command`` is what is given to the image's entry point. The log goes into the folder."""
        self.name = f"checkout-tests-{os.getpid()}-{name}"
        self.log = folder / f"{name}.log"
        self._state = str(folder / "runc")
        bundle = folder / name
        bundle.mkdir()
        _run("runc", "spec", "--bundle", str(bundle))
        path = bundle / "config.json"
        path.write_text(json.dumps(_specification(json.loads(path.read_text()), image, command, environment)))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["runc", "--root", self._state, "run", "--bundle", str(bundle), self.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        whole = ["runc", "--root", self._state, "delete", "--force", self.name]
        subprocess.run(whole, capture_output=True, check=False)
        self.process.wait(60)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as docker runs an image's health check."""
        whole = ["runc", "--root", self._state, "exec", self.name, *command]
        return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=120)

    def processes(self) -> list[str]:
        """The command lines of its processes, first the one that all others are children of."""
        seen = self.execute("python3", "-c", _LIST)
        assert seen.returncode == 0, seen.stderr
        found: list[str] = json.loads(seen.stdout)
        return found

    def ask_to_end(self) -> None:
        """Ask its first process to end, as every runtime does."""
        self.process.send_signal(signal.SIGTERM)


_LIST: Final = """
import json, os
from pathlib import Path
numbers = sorted(int(each) for each in os.listdir("/proc") if each.isdigit())
lines = [Path(f"/proc/{n}/cmdline").read_bytes().replace(b"\\0", b" ").decode() for n in numbers if n != os.getpid()]
print(json.dumps([line.strip() for line in lines if line]))
"""


def _specification(
    blank: dict[str, Any], image: Image, command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """What runc is to run: as the image says, unprivileged, and without what this machine may not give."""
    user, group = image.user
    blank["root"] = {"path": str(image.root), "readonly": True}
    blank["process"] |= {
        "terminal": False,
        "args": [*image.config["Entrypoint"], *command],
        "user": {"uid": user, "gid": group},
        "cwd": image.config["WorkingDir"],
        "env": [f"{name}={value}" for name, value in {**image.environment, **environment}.items()],
        "noNewPrivileges": True,
        "capabilities": {kind: [] for kind in _CAPABILITIES},
    }
    del blank["process"]["rlimits"]  # as this machine has them; runc's own example is far below what a server needs
    linux = blank["linux"]
    linux["namespaces"] = [each for each in linux["namespaces"] if each["type"] not in {"network", "cgroup"}]
    linux.pop("resources", None)
    blank["mounts"] = [each for each in blank["mounts"] if each["type"] not in {"cgroup", "sysfs"}]
    options = ["nosuid", "nodev", "noexec", "mode=1777", "size=256m"]
    blank["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options})
    return blank
