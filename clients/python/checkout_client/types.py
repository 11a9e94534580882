"""What the operations have in common: a member that is left out, and an answer with its headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import httpx

T = TypeVar("T")


class Unset:
    """Stands for a member or a parameter that is not there, which is something else than None."""

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset()


@dataclass(frozen=True)
class Response(Generic[T]):
    """An answer: ``parsed`` is its body, ``http`` all of it."""

    http: httpx.Response
    parsed: T

    @property
    def etag(self) -> str | Unset:
        """For `if_none_match` of the next request; left out where the answer has none."""
        etag: str | Unset = self.http.headers.get("ETag", UNSET)
        return etag

    @property
    def is_replayed(self) -> bool:
        """Whether it is the first answer to this Idempotency-Key once more."""
        return bool(self.http.headers.get("Idempotent-Replayed") == "true")
