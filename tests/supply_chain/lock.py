"""The lock, as requirements: what of it runs in production, and what only builds and tests."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """One package of the lock: its requirement, and the lines that pin it with its hashes."""

    requirement: Requirement
    lines: str

    @property
    def is_for_here(self) -> bool:
        """Whether it is installed on this system, by its marker."""
        return applies(self.requirement)


def read_lock(path: Path, environment: Mapping[str, str] | None = None) -> dict[str, Pinned]:
    """The packages of a lock that uv wrote, by canonical name: of several versions the one that this Python takes.

    ``environment`` are the marker variables in which another one differs from it.
    """
    found: dict[str, Pinned] = {}
    for block in _blocks(path.read_text(encoding="utf-8").splitlines()):
        requirement = Requirement(block[0].removesuffix("\\").strip())
        name = canonicalize_name(requirement.name)
        if name not in found or applies(requirement, environment):
            found[name] = Pinned(requirement=requirement, lines="\n".join(block))
    return found


def applies(requirement: Requirement, environment: Mapping[str, str] | None = None, extras: Iterable[str] = ()) -> bool:
    """Whether a requirement holds there, without an extra or with one of these."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**(environment or {}), "extra": extra}) for extra in ["", *extras])


def production_requirements(project: Path) -> list[Requirement]:
    """What pyproject.toml names of what runs in production: with the extras of providers and of traces."""
    project_table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = project_table["optional-dependencies"]
    chosen = [line for extra in ("stripe", "paypal", "traces") for line in extras[extra]]
    return [Requirement(line) for line in [*project_table["dependencies"], *chosen]]


def run_in_production(lock: Mapping[str, Pinned], project: Path) -> list[Pinned]:
    """What the service and the extras of its providers need, and all that this needs, of what is installed here."""
    open_ = production_requirements(project)
    needed: dict[str, set[str]] = {}
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        if name in needed and requirement.extras <= needed[name]:
            continue
        needed[name] = needed.get(name, set()) | requirement.extras
        open_ += _needs_of(name, needed[name])
    return [lock[name] for name in sorted(needed)]


def _needs_of(name: str, extras: Iterable[str]) -> list[Requirement]:
    found = [Requirement(line) for line in requires(name) or []]
    return [needed for needed in found if applies(needed, extras=extras)]


def _blocks(lines: Iterable[str]) -> list[list[str]]:
    """The lines of each package; comments are left out."""
    blocks: list[list[str]] = []
    for line in lines:
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks
