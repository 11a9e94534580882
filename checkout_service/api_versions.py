"""The versions of the API: what a request may name, what answers name, and in which forms bodies of events are sent.

A version is called by the day on which it was made; ``1`` is older than that custom. What is added to the API makes no
version that is known useless: a request may name any of them, and is answered by the newest. ``docs/openapi.json`` is
what was released, and a test finds what would break who was built by it.

Events are kept, and so they have the form of the day on which they were written.

A body is written once, in the version that the database renders then, and stored with that version's name. An endpoint
is pinned to the version that was the newest when it was made, until its staff choose another one. What is sent to it is
translated from the version in which it was written, step by step. Nothing is translated to a newer version: what was
written before a version came stays as it was.

A new version comes in two releases. The first one registers it here, with the way back. The second one has the database
render it (``events.api_version`` gets its name as the default), when no process is left that does not know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Body = dict[str, Any]

Translate = Callable[[str, Mapping[str, Any]], Body]
"""From an event's type and its body in one version to its body in the version before. Pure: it changes neither."""


class UnknownVersionError(LookupError):
    """No version of this name is registered in this process: it is older than what wrote the event."""


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """A version by its ``name``; ``to_older`` is None of the first one alone."""

    name: str
    to_older: Translate | None


class ApiVersions:
    """The versions that there are, the oldest first."""

    def __init__(self, first: str) -> None:
        self._versions = [ApiVersion(first, None)]

    @property
    def newest(self) -> str:
        """The version of what is made now."""
        return self._versions[-1].name

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the oldest first."""
        return tuple(version.name for version in self._versions)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def register(self, version: ApiVersion) -> None:
        """Add the next version. Raises ValueError for one that is there, or without the way back."""
        if version.name in self or version.to_older is None:
            raise ValueError("a later version has a name of its own and the way back")
        self._versions.append(version)

    def forget_newest(self) -> None:
        """Take the last one away. Raises ValueError for the first one."""
        if len(self._versions) == 1:
            raise ValueError("there is always a version")
        self._versions.pop()

    def translate(self, body: Body, *, type: str, written: str, pinned: str) -> Body:  # noqa: A002 (the event's type)
        """The body as the pinned version has it; as it is, where it was written in that one or in an older one.

        Raises UnknownVersionError.
        """
        names = self.names
        try:
            at, down_to = names.index(written), names.index(pinned)
        except ValueError as error:
            raise UnknownVersionError(f"{written} or {pinned}") from error
        for version in self._versions[at:down_to:-1]:
            assert version.to_older is not None  # noqa: S101 (only the first one has none, and it is never left)
            body = version.to_older(type, body)
        return body

    def is_translated(self, *, written: str, pinned: str) -> bool:
        """Whether what was written in one version is another body in the pinned one: that is older, and known.

        Raises UnknownVersionError.
        """
        names = self.names
        try:
            return names.index(written) > names.index(pinned)
        except ValueError as error:
            raise UnknownVersionError(f"{written} or {pinned}") from error


def _unchanged(_type: str, body: Mapping[str, Any]) -> Body:
    """Of a version that changed no body of an event."""
    return dict(body)


API_VERSIONS: Final = ApiVersions("1")
API_VERSIONS.register(ApiVersion("2026-11-29", _unchanged))
