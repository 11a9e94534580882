"""Where listings come from if not out of a file: a SELECT on the tables of another application in the same database."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self
from uuid import UUID

from checkout_service.settings.origins import Origins
from checkout_service.settings.reader import Reader
from checkout_service.settings.secret import Secret

MOST_GONE: Final = 20
"""Percent."""

EVERY: Final = 15
"""Minutes."""

MOST_MINUTES: Final = 24 * 60

LONGEST: Final = 20_000
"""Characters of a SELECT."""

_VIEW: Final = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
"""A view or table by its schema and name: what has no space can stand in an environment file."""

_NAME: Final = r'(?:"[^"]+"|[A-Za-z_][\w$]*)'
_TABLE: Final = re.compile(
    rf"\b(?:from|join|table)\s+(?:only\s+)?(?P<schema>{_NAME})\s*\.\s*(?P<table>{_NAME})", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class CatalogSource:
    """The SELECT, and what bounds one sync. It is the operator's own text, and runs with the rights of the worker."""

    select: str
    most_gone: int = MOST_GONE
    """How many percent of the listings of the source one sync may take off sale."""
    image_origins: Origins | None = None

    @property
    def tables(self) -> Sequence[tuple[str, str]]:
        """Schema and name of the views and tables behind FROM, JOIN and TABLE, as they are written, each once.

        One behind a comma is not seen.
        """
        return tuple({(match["schema"], match["table"]): None for match in _TABLE.finditer(self.select)})


@dataclass(frozen=True, kw_only=True)
class CatalogSettings:
    """What ``catalog sync`` needs as a command; the worker has the same in its own settings."""

    database_url: Secret
    """The worker's: its role reads the source."""
    namespace: UUID
    source: CatalogSource
    database_pooler: str = "none"

    @classmethod
    def from_environment(cls) -> Self:
        """Read once, at start. Raises SettingsError."""
        env = Reader()
        url = env.database("WORKER_DATABASE_URL")
        namespace = env.namespace()
        pooler = env.pooler()
        source = catalog_source(env)
        if source is None:
            env.refuse("CATALOG_SOURCE", "is not set: a SELECT that gives listings (docs/catalogue.md)")
        env.finish()
        chosen = source or CatalogSource(select="")
        return cls(database_url=url, namespace=namespace, source=chosen, database_pooler=pooler)


def catalog_source(env: Reader) -> CatalogSource | None:
    """The source; None where there is none. Faults are remembered by ``env``."""
    select = _select(env.text("CATALOG_SOURCE", ""))
    most_gone = env.number("CATALOG_SYNC_MAX_GONE", MOST_GONE, least=0, most=100)
    refuse_bad_minutes(env)
    if not select:
        return None
    if fault := _fault(select):
        env.refuse("CATALOG_SOURCE", fault)
    return CatalogSource(select=select, most_gone=most_gone, image_origins=env.origins("IMAGE_ORIGINS"))


def source_of_environment() -> CatalogSource:
    """The SELECT as it stands there, whatever it is, for who looks at it: it is not refused."""
    return CatalogSource(select=_select(os.environ.get("CATALOG_SOURCE", ""))[:LONGEST])


def refuse_bad_minutes(env: Reader) -> None:
    """How often beat has the source read is a number, wherever it is read."""
    env.number("CATALOG_SYNC_MINUTES", EVERY, most=MOST_MINUTES)


def sync_every() -> timedelta | None:
    """How often beat has the source read; None where there is none.

    Tasks are declared as this is loaded, so nothing is refused here: whoever reads settings refuses it.
    """
    if not os.environ.get("CATALOG_SOURCE", "").strip():
        return None
    given = os.environ.get("CATALOG_SYNC_MINUTES", "")
    is_good = re.fullmatch(r"[0-9]{1,4}", given) and 1 <= int(given) <= MOST_MINUTES
    return timedelta(minutes=int(given) if is_good else EVERY)


def _select(given: str) -> str:
    given = given.strip()
    return f"SELECT * FROM {given}" if _VIEW.fullmatch(given) else given  # noqa: S608 (a name)


def _fault(select: str) -> str | None:
    if len(select) > LONGEST:
        return f"is longer than {LONGEST} characters: make a view of it, and select from that"
    if ";" in select or "\0" in select:
        return "is one SELECT, without ; in it"
    if not re.match(r"(select|with|table|values)\b", select, re.IGNORECASE):
        return "is no SELECT"
    return None
