"""Much is due at a provider that takes connections and answers nothing; somebody's payment is at another."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tests.attack.attacks import Found, Values, attack
from tests.faults.flood import insert_payments
from tests.faults.stack import House, await_that

SILENT: Final = ("127.0.0.13", 18099)
"""Where the provider seems to be: an address of this machine's own that nothing else listens at."""

MOLLIE: Final = {
    "MOLLIE_API_KEY": "test_of_an_attack_that_leads_nowhere",
    "MOLLIE_API_BASE": f"http://{SILENT[0]}:{SILENT[1]}",
    "MOLLIE_WEBHOOK_URL": "http://127.0.0.1/webhook",
    "MOLLIE_RETURN_URL": "http://127.0.0.1/return",
}

MANY: Final = 300

LONGER: Final = 45.0
"""Seconds by which an attack may put somebody back: a run of look-ups comes every 30 s, and a slow call takes ten."""

_DUE: Final = "UPDATE payments SET next_look_up_at = now() - interval '1 hour' WHERE provider_ref = ANY(%(tokens)s)"
_LOOKED_UP: Final = "SELECT 1 FROM payments WHERE provider_ref = %(token)s AND look_ups > 0"

_CANCEL: Final = """
    INSERT INTO cancel_requests (payment_id, requested_by, next_attempt_at)
    SELECT id, user_id, now() FROM payments WHERE provider_ref = ANY(%(tokens)s)
"""
_CANCELED: Final = """
    SELECT 1 FROM cancel_requests AS request JOIN payments AS payment ON payment.id = request.payment_id
    WHERE payment.provider_ref = %(token)s AND request.attempts > 0
"""


@attack("hundreds of look-ups are due at a provider that is away", **MOLLIE)
def look_ups_at_one_that_is_away(house: House) -> Found:
    return _beside(house, _DUE, _LOOKED_UP)


@attack("hundreds of cancellations are due at a provider that is away", **MOLLIE)
def cancellations_at_one_that_is_away(house: House) -> Found:
    return _beside(house, _CANCEL, _CANCELED)


def _beside(house: House, make_due: str, is_done: str) -> Found:
    control = {"after_s": _waited(house, make_due, is_done)}
    with _silent_provider() as connections:
        house.sql(make_due, tokens=insert_payments(house, MANY, provider="mollie"))
        await_that(connections, "the provider that is away is called", within=60)
        waited = _waited(house, make_due, is_done)
        attacked: Values = {"due_at_another": MANY, "calls_in_vain": connections(), "after_s": waited}
    house.sql("DELETE FROM cancel_requests")
    house.sql("UPDATE payments SET next_look_up_at = NULL")
    return Found(control=control, attacked=attacked, held=waited <= control["after_s"] + LONGER)


def _waited(house: House, make_due: str, is_done: str) -> float:
    """Seconds until a payment at the mock provider, which is there, is seen to."""
    (token,) = insert_payments(house, 1)
    began = time.monotonic()
    house.sql(make_due, tokens=[token])
    await_that(lambda: house.sql(is_done, token=token), "the payment is seen to", within=150)
    return round(time.monotonic() - began, 1)


@contextmanager
def _silent_provider() -> Iterator[Callable[[], int]]:
    """Takes connections while the block runs; says how many there were."""
    taken: list[socket.socket] = []

    def connections() -> int:
        while True:
            try:
                taken.append(listener.accept()[0])
            except BlockingIOError:
                return len(taken)

    with socket.create_server(SILENT, backlog=1000) as listener:
        listener.setblocking(False)
        try:
            yield connections
        finally:
            connections()
            for each in taken:
                each.close()
