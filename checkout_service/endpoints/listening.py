"""What ``events listen`` does: follows the log, and posts each event to an address as the sender does.

Events go out one after the other, in the order of their numbers. Nothing is kept: another run begins where it is told.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self
from uuid import UUID

import httpx

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.endpoints.addresses import Policy, RefusedAddressError, allowed, check_url
from checkout_service.endpoints.secrets import read_secret
from checkout_service.endpoints.signing import AGENT, make_signer, signed_headers
from checkout_service.endpoints.states import Signing
from checkout_service.events.posted import PostedEvent
from checkout_service.events.queries import EventRow, events_page
from checkout_service.settings.secret import Secret

LOOK_EVERY: Final = 0.2
"""Seconds between two looks at the log, while nothing comes."""

PAGE: Final = 100

ANSWER_WITHIN: Final = 15.0
"""Seconds for an attempt, as the sender has it."""

READ_UP_TO: Final = 16 * 1024

PAUSES: Final = (0.5, 1.0, 2.0)
"""Seconds between the tries while nobody answers: somebody may just be starting their program anew."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an event: the ``status`` of the answer, or in ``error`` why there is none."""

    status: int | None
    error: str | None
    milliseconds: float
    tries: int

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which events: of these types (None: all), about this object."""

    types: Sequence[str] | None = None
    object_type: str | None = None
    object_id: UUID | None = None


def newest_seq() -> int:
    """The last number that was given. Raises DatabaseUnavailableError."""
    return events_page(None, limit=1).newest_seq


def follow(after: int | None, filters: Filters) -> Iterator[EventRow | None]:
    """The events behind the number, or from the oldest kept, as they come; None whenever there is none for now.

    It goes on while the database is away. Raises DroppedEventsError and UnknownPlaceError for a number that is too old
    or was never given, DatabaseUnavailableError only at the first look.
    """
    is_first = True
    while True:
        try:
            page = events_page(
                after,
                types=filters.types,
                object_type=filters.object_type,
                object_id=filters.object_id,
                limit=PAGE,
            )
        except DatabaseUnavailableError:
            if is_first:
                raise
            yield None
            continue
        is_first = False
        yield from page.events
        after = page.last_seq
        if not page.events and page.last_seq >= page.newest_seq:
            yield None


def check_address(url: str, *, policy: Policy, anywhere: bool) -> None:
    """See that events may be sent there: to this machine, or ``anywhere`` that the deployment's policy allows.

    Raises RefusedAddressError.
    """
    target = check_url(url, policy if anywhere else Policy(private=True))
    if target.address is not None:
        addresses = [target.address]
    else:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise RefusedAddressError(f"The name {target.host} is not known.") from error
        addresses = [ip_address(str(address[0])) for *_, address in found]
    if anywhere:
        if not all(allowed(address, policy) for address in addresses):
            raise RefusedAddressError(f"{target.host} is not a public address.")
    elif not all(address.is_loopback for address in addresses):
        raise RefusedAddressError(f"{target.host} is not this machine: --anywhere, if that is meant.")


class Forwarder:
    """Posts events to one address, signed with one secret, in the form in which the sender does."""

    def __init__(self, url: str, secret: Secret) -> None:
        """Raises ValueError if the secret is none of the form ``whsec_…``."""
        self._url = url
        self._signers = [make_signer(Signing.V1, read_secret(secret), None)]
        self._http = httpx.Client(timeout=ANSWER_WITHIN, trust_env=False, follow_redirects=False)
        self._http.headers.clear()  # a receiver sees no header here that it will not see from the sender
        self._is_away = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def forward(self, event: EventRow) -> Outcome:
        """Post the event; again for a few seconds where nobody answers, unless nobody answered for the one before."""
        posted = PostedEvent(
            event.id, event.type, event.object_type, event.object_id, event.version, event.created_at, event.body
        )
        pauses = () if self._is_away else PAUSES
        for number, pause in enumerate((*pauses, None), 1):
            outcome = self._post(posted, number)
            if outcome.status is not None or pause is None:
                break
            time.sleep(pause)
        self._is_away = outcome.status is None
        return outcome

    def _post(self, event: PostedEvent, number: int) -> Outcome:
        body = event.payload(thin=False)
        headers = signed_headers(self._signers, event_id=event.text_id, body=body, agent=AGENT)
        started = time.perf_counter()
        status, error = None, None
        try:
            with self._http.stream("POST", self._url, content=body, headers=headers) as answer:
                status = answer.status_code
                size = 0
                for chunk in answer.iter_raw():
                    size += len(chunk)
                    if size > READ_UP_TO:
                        break
        except httpx.TimeoutException:
            error = "no answer in time"
        except httpx.ConnectError:
            error = "nobody listens there"
        except httpx.HTTPError as failure:
            error = type(failure).__name__
        return Outcome(status, None if status else error, (time.perf_counter() - started) * 1000, number)
