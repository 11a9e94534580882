"""What is kept of webhooks that nobody signed: a provider's own look so, where our secret is wrong."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from uuid import uuid4

from checkout_service.providers.adapters.mock.provider import sign
from tests.attack.attacks import SETTINGS, Found, Values, attack
from tests.faults.flood import WEBHOOK_PATH, insert_payments, unverified
from tests.faults.invariant import await_final
from tests.faults.stack import House
from tests.faults.wire import Threads, Wire

BOUND = int(SETTINGS["REJECTED_MAX_ROWS"])
REAL = 1000
OF_ONE_PAYMENT = 20

_REPLAY = ["flask", "--app", "wsgi", "webhooks", "process", "--state", "rejected", "--provider", "mock"]

_KEPT = """
    SELECT count(*) FILTER (WHERE payment.provider_ref = ANY(%(real)s)),
        count(*) FILTER (WHERE payment.provider_ref = ANY(%(own)s)), count(*) FILTER (WHERE payment.id IS NULL)
    FROM webhook_deliveries AS webhook LEFT JOIN payments AS payment ON payment.id = webhook.rejected_payment
    WHERE webhook.state = 'rejected'
"""

_PAID = "SELECT count(*) FROM payments WHERE provider_ref = ANY(%(real)s) AND status = 'paid'"


@attack("strangers fill what is kept of webhooks that nobody signed", quick=True)
def strangers_fill_it(house: House) -> Found:
    """Some know nothing, and one knows a payment of their own."""
    real, own = insert_payments(house, 20), insert_payments(house, 1)
    secret = uuid4().hex
    _send(house, [_paid(token, secret) for token in real])
    control = _kept(house, real, own)
    _send(house, [*_flood(BOUND + 500), *(_paid(own[0], uuid4().hex) for _ in range(3 * OF_ONE_PAYMENT))])
    attacked = _kept(house, real, own)
    held = attacked == {"real": len(real), "own": OF_ONE_PAYMENT, "unknown": BOUND} and control["real"] == len(real)
    return Found(control=control, attacked=attacked, held=held)


@attack("strangers flood before and after an hour in which the secret is wrong")
def a_wrong_secret(house: House) -> Found:
    control = _hour(house, flood=0)
    attacked = _hour(house, flood=3 * BOUND)
    return Found(
        control=control, attacked=attacked, held=control == attacked == {"answered_202": REAL, "applied": REAL}
    )


def _hour(house: House, *, flood: int) -> Values:
    """The provider has a secret that the workers do not have yet; then they get it, and an operator replays."""
    secret, real = uuid4().hex, insert_payments(house, REAL)
    _send(house, _flood(flood))
    answered = _send(house, [_paid(token, secret) for token in real])
    _send(house, _flood(flood))
    await_final(house)
    house.environment["MOCK_WEBHOOK_SECRETS"] = secret
    with house.without("worker"):
        pass
    house.await_whole()
    house.processes.run_once(_REPLAY, name="replay")
    await_final(house)
    ((applied,),) = house.sql(_PAID, real=real)
    return {"answered_202": answered, "applied": applied}


def _kept(house: House, real: list[str], own: list[str]) -> Values:
    await_final(house)
    ((of_real, of_own, unknown),) = house.sql(_KEPT, real=real, own=own)
    return {"real": of_real, "own": of_own, "unknown": unknown}


def _paid(token: str, secret: str) -> bytes:
    details = {"event_id": f"evt_{uuid4().hex}", "amount": "40.00", "currency": "USD"}
    return json.dumps(sign({"provider_ref": token, "status": "paid", "raw_data": details}, secret)).encode()


_numbers = itertools.count(uuid4().int >> 8)


def _flood(count: int) -> list[bytes]:
    return [unverified(next(_numbers)) for _ in range(count)]


def _send(house: House, bodies: Iterable[bytes]) -> int:
    """Send each once, over four connections; how many were answered 202."""
    left, answered, threads = iter(list(bodies)), [0] * 4, Threads()

    def work(place: int) -> None:
        wire = Wire(house.address)
        for body in left:
            answered[place] += wire.ask("POST", WEBHOOK_PATH, body).status == 202
        wire.close()

    for place in range(len(answered)):
        threads.start(work, place, name=f"sender {place}")
    threads.join(within=300)
    return sum(answered)
