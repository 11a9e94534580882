"""Waits for what becomes of a payment, without asking again and again: the service answers when there is a change."""

from __future__ import annotations

from asyncio import sleep as sleep_async
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final
from uuid import UUID

from checkout_client.api.payments import get_payment
from checkout_client.client import Client
from checkout_client.errors import CheckoutError
from checkout_client.models.read_payment import ReadPayment
from checkout_client.types import UNSET, Response, Unset

LONGEST_WAIT: Final = 30
"""Seconds that the service may keep one request."""

PAUSE: Final = 1.0
"""Seconds before the next request where an answer came at once, and names no Retry-After."""

BUSY: Final = frozenset({429, 503})


class PaymentUnchangedError(Exception):
    """Time was over before the payment was as it was waited for; ``payment`` is how it was last seen, if it was."""

    def __init__(self, payment: ReadPayment | None) -> None:
        super().__init__(f"the payment is {payment.status}" if payment else "the payment could not be read")
        self.payment = payment


def is_decided(payment: ReadPayment) -> bool:
    """Whether nothing is expected of the customer or the provider for now."""
    return payment.status not in {"pending", "processing"} and not payment.under_way


def wait_for_payment(
    payment_id: UUID,
    *,
    client: Client,
    until: Callable[[ReadPayment], bool] = is_decided,
    within: float = 600.0,
) -> ReadPayment:
    """The payment as soon as ``until`` is true of it. Raises PaymentUnchangedError after ``within`` seconds.

    A busy service (429, 503) is asked again after what its Retry-After says; every other error is raised.
    """
    watch = _Watch(until, monotonic() + within)
    while True:
        try:
            pause = watch.see(
                get_payment.sync_detailed(payment_id, client=client, wait=watch.wait(), if_none_match=watch.etag)
            )
        except CheckoutError as error:
            pause = watch.pause_after(error)
        if watch.found is not None:
            return watch.found
        sleep(watch.bounded(pause))


async def wait_for_payment_async(
    payment_id: UUID,
    *,
    client: Client,
    until: Callable[[ReadPayment], bool] = is_decided,
    within: float = 600.0,
) -> ReadPayment:
    """As `wait_for_payment`, for programs that use asyncio."""
    watch = _Watch(until, monotonic() + within)
    while True:
        try:
            pause = watch.see(
                await get_payment.asyncio_detailed(
                    payment_id, client=client, wait=watch.wait(), if_none_match=watch.etag
                )
            )
        except CheckoutError as error:
            pause = watch.pause_after(error)
        if watch.found is not None:
            return watch.found
        await sleep_async(watch.bounded(pause))


@dataclass
class _Watch:
    until: Callable[[ReadPayment], bool]
    deadline: float
    etag: str | Unset = UNSET
    found: ReadPayment | None = None
    _last: ReadPayment | None = None
    _sent_at: float = 0.0

    def wait(self) -> int:
        """Seconds for which the service may keep the next request."""
        self._sent_at = monotonic()
        return max(0, min(LONGEST_WAIT, int(self.deadline - self._sent_at)))

    def see(self, answer: Response[ReadPayment | None]) -> float:
        """Take an answer in; the seconds to let pass before the next request."""
        is_first = self._last is None
        self.etag = answer.etag
        if answer.parsed is not None:
            self._last = answer.parsed
            if self.until(answer.parsed):
                self.found = answer.parsed
        # The first always comes at once. Another: as many requests wait as may, the time is nearly over, a proxy takes
        # ETags away, or the payment changes quickly.
        came_at_once = not is_first and monotonic() - self._sent_at < PAUSE
        return _seconds(answer) or (PAUSE if came_at_once else 0.0)

    def pause_after(self, error: CheckoutError) -> float:
        """The same of an error that ends. Raises every other one."""
        if error.status not in BUSY:
            raise error
        return error.retry_after or PAUSE

    def bounded(self, pause: float) -> float:
        """The pause, within what is left. Raises PaymentUnchangedError when nothing is."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise PaymentUnchangedError(self._last)
        return min(pause, left)


def _seconds(answer: Response[ReadPayment | None]) -> float | None:
    return CheckoutError(answer.http, "").retry_after
