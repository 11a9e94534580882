"""What the image is made by, without making it: the Dockerfile read, its scripts run beside programs that note.

The short cut of ``test_image.py``, which builds the image and runs it: ``make test-install``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from checkout_service.command_line.commands import checkout
from checkout_service.command_line.processes import PROCESSES
from checkout_service.settings.values import ServerSettings
from tests.conftest import ROOT
from tests.deploying.compose import read

FOLDER = ROOT / "deploy" / "image"
NAMES = {"FROM", "ARG", "RUN", "LABEL", "COPY", "ENV", "WORKDIR", "USER", "STOPSIGNAL", "EXPOSE", "HEALTHCHECK"}
NAMES |= {"ENTRYPOINT", "CMD"}
LAID_OUT = {".image/debs", ".image/wheels", ".image/sbom.cdx.json"}
"""What prepare.sh makes."""


def instructions() -> list[tuple[str, str]]:
    """Each of the Dockerfile with what follows it, on one line."""
    lines = [line for line in (FOLDER / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def of(name: str) -> str:
    """What follows the instruction of this name in the last stage, which is what is shipped."""
    found = instructions()
    last = max(place for place, (each, _) in enumerate(found) if each == "FROM")
    (rest,) = [rest for each, rest in found[last:] if each == name]
    return rest


def test_it_runs_what_the_package_has_and_asks_that(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name for name, _ in instructions()} == NAMES
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(of("ENTRYPOINT")) == [*scripts]
    (process,) = json.loads(of("CMD"))
    assert process in PROCESSES
    # The port is free: whoever is asked does not answer, and that is what the health check has to find.
    monkeypatch.setenv("PORT", "9")
    entry, *health = json.loads(of("HEALTHCHECK").partition(" CMD ")[2])
    answer = CliRunner().invoke(checkout, health)
    assert (entry in scripts, answer.exit_code) == (True, 1)
    assert f"{process} does not answer" in answer.stderr
    monkeypatch.delenv("PORT")
    assert int(of("EXPOSE")) == ServerSettings.from_environment().port
    assert of("STOPSIGNAL") == "SIGTERM"


def test_it_is_nobody_in_particular_and_has_a_folder_for_each_file_of_settings() -> None:
    user, group = of("USER").split(":")
    run = of("RUN")
    assert f"checkout:x:{user}:{group}:" in run
    assert int(user) >= 10_000, "no account of the host has it"
    folders = re.search(r"for name in ([\w ]+);", run)
    assert folders
    mounted = {place for each in read({})["services"].values() for place in each.get("volumes", [])}
    volumes = {place.split(":")[1].rpartition("/")[2] for place in mounted if ":/etc/checkout/" in place}
    assert set(folders[1].split()) == volumes - {"shop"}, "a volume begins with the owner of its folder"


def test_what_is_copied_is_what_is_laid_out_and_nothing_is_fetched() -> None:
    copied = [rest.split()[-2] for name, rest in instructions() if name == "COPY" and "--from=" not in rest]
    mounted = [found for name, rest in instructions() for found in re.findall(r"source=([^,\s]+)", rest)]
    assert {*copied, *mounted} == LAID_OUT
    assert (ROOT / ".dockerignore").read_text().splitlines()[-2:] == ["*", "!.image"]
    commands = " ".join(rest for name, rest in instructions() if name == "RUN")
    assert "--no-index" in commands
    assert "--require-hashes" in commands
    assert "sha256sum --quiet --check" in commands
    assert not re.search(r"apt-get (?:[\w=-]+ )*update|curl|wget|https?:", commands)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout with nothing in it but what the scripts read."""
    shutil.copytree(FOLDER, tmp_path / "checkout" / "deploy" / "image")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "checkout")
    (tmp_path / "bin").mkdir()
    return tmp_path / "checkout"


def program(place: Path, name: str, script: str) -> Path:
    path = place.parent / "bin" / name
    path.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "{name} $word" >> "{place.parent}/noted"; done\n{script}\n')
    path.chmod(0o755)
    return path


USUAL = ("awk", "comm", "cut", "dirname", "git", "head", "mkdir", "mktemp", "rm", "sed", "sha256sum", "sort", "xargs")


def run(place: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A script of the image's folder, with the programs that note and those that each Debian has, and no others."""
    usual = place.parent / "usual"
    usual.mkdir()
    for name in USUAL:
        if found := shutil.which(name):
            (usual / name).symlink_to(found)
    command = ["/bin/sh", f"deploy/image/{script}", *arguments]
    environment = {"PATH": f"{place.parent / 'bin'}:{usual}"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def noted(place: Path, name: str) -> list[str]:
    path = place.parent / "noted"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


@pytest.mark.parametrize("script", ["prepare.sh", "build.sh", "debs.sh"])
def test_each_script_is_what_a_shell_reads(script: str) -> None:
    assert os.access(FOLDER / script, os.X_OK)
    subprocess.run(["/bin/sh", "-n", str(FOLDER / script)], check=True)


@pytest.mark.parametrize(
    ("there", "taken"),
    [({"docker": 0, "podman": 0}, "docker"), ({"docker": 1, "podman": 0}, "podman"), ({"buildah": 0}, "buildah")],
)
def test_it_is_built_without_a_network_by_whatever_is_here(place: Path, there: dict[str, int], taken: str) -> None:
    (place / ".image").mkdir()
    (place / ".image" / "sbom.cdx.json").write_text("{}")
    for name, status in there.items():
        program(place, name, f'test "$1" != info || exit {status}')
    assert run(place, "build.sh").returncode == 0
    words = noted(place, taken)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert words[words.index("--network") + 1] == "none"
    assert words[words.index("--tag") + 1] == f"checkout-service:{version}"
    assert words[words.index("--file") + 1] == "deploy/image/Dockerfile"
    assert f"VERSION={version}" in words
    assert f"SBOM_SHA256={hashlib.sha256(b'{}').hexdigest()}" in words
    assert [name for name in there if name != taken and "--tag" in noted(place, name)] == []


def test_without_a_program_that_builds_it_says_so(place: Path) -> None:
    (place / ".image").mkdir()
    (place / ".image" / "sbom.cdx.json").write_text("{}")
    done = run(place, "build.sh")
    assert (done.returncode, done.stdout) == (2, "")
    assert "neither docker nor podman nor buildah" in done.stderr


def test_what_it_is_made_of_is_laid_out_anew(place: Path) -> None:
    if "VERSION_CODENAME=bookworm" not in Path("/etc/os-release").read_text():
        pytest.skip("Debian's packages are laid out on Debian 12 alone")
    (place / ".image").mkdir()
    (place / ".image" / "left").touch()
    python = program(place, "snake", "mkdir -p .image/wheels")
    # The base image holds libc already; python3 needs libpython beside that.
    program(
        place,
        "apt-get",
        """case "$*" in
        *download*) for last in "$@"; do :; done; for word in libpython python3; do echo "$word" > "$word.deb"; done;;
        *python3*) printf 'Inst libc\\nConf libc\\nInst libpython\\nInst python3\\n';;
        *) printf 'Inst libc\\n';;
        esac""",
    )
    done = run(place, "prepare.sh", str(python))
    assert done.returncode == 0, done.stderr
    assert noted(place, "snake") == ["-m", "tests.supply_chain", "image", "--to", ".image"]
    assert {path.name for path in (place / ".image").iterdir()} == {"wheels", "debs"}
    words = noted(place, "apt-get")
    assert words[words.index("download") + 1 :] == ["libpython", "python3"], "what the base image holds is not fetched"
    sums = (place / ".image" / "debs" / "SHA256SUMS").read_text()
    assert {line.split()[1] for line in sums.splitlines()} == {"./libpython.deb", "./python3.deb"}
