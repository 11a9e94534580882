"""Each broken promise about events is found out, and each receiver lies as it says."""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks.webhooks import Webhook

from checkout_service.payments.status import PaymentStatus
from tests.faults.arrivals import Logged, check_arrivals, check_money, check_numbers, not_taken
from tests.faults.receivers import CLOSES_EVERY, TWICE_EVERY, Behaviour, Receiver, Receivers
from tests.faults.wire import Wire

LANES = [uuid4(), uuid4()]


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    found = Receivers()
    try:
        for receiver in found.all:
            receiver.verifier = Webhook("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
        found.start()
        yield found
    finally:
        found.close()


def _receiver(receivers: Receivers, behaviour: Behaviour) -> Receiver:
    return next(receiver for receiver in receivers.all if receiver.behaviour is behaviour)


def _signed(receiver: Receiver, event_id: UUID) -> tuple[dict[str, str], bytes]:
    assert receiver.verifier is not None
    body, now = json.dumps({"id": str(event_id)}), datetime.now(UTC)
    headers = {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": receiver.verifier.sign(str(event_id), now, body),
    }
    return headers, body.encode()


def _post(receiver: Receiver, event_id: UUID, **other: str) -> int:
    """The status of the answer."""
    headers, body = _signed(receiver, event_id)
    wire = Wire(("127.0.0.1", receiver.port))
    status = wire.ask("POST", f"/{receiver.behaviour}", body, headers | other).status
    wire.close()
    return status


@pytest.mark.parametrize(
    ("behaviour", "statuses", "taken"),
    [
        (Behaviour.HEALTHY, [200] * 7, 7),
        (Behaviour.DEAD, [0] * 7, 0),
        (Behaviour.FAILING, [200, 200, 500, 200, 200, 500, 200], 5),
        (Behaviour.TWICE, [200] * 7, 7),
        (Behaviour.CLOSING, [200] * 7, 6),  # this client is content with a status line
        (Behaviour.RESTARTING, [200] * 7, 7),
        (Behaviour.SLOW, [200] * 7, 7),
    ],
)
def test_a_receiver_lies_as_it_says(
    receivers: Receivers, behaviour: Behaviour, statuses: list[int], taken: int
) -> None:
    receiver = _receiver(receivers, behaviour)
    events = [uuid4() for _ in statuses]

    assert [_post(receiver, event) for event in events] == statuses

    assert len(receiver.taken) == taken
    assert list(receiver.arrivals) == (events if receiver.lives else [])
    assert list(receivers.wrong()) == []


def test_a_second_answer_is_on_the_connection(receivers: Receivers) -> None:
    receiver = _receiver(receivers, Behaviour.TWICE)
    for _ in range(TWICE_EVERY - 1):
        _post(receiver, uuid4())
    headers, body = _signed(receiver, uuid4())
    lines = [f"{name}: {value}" for name, value in {**headers, "content-length": len(body)}.items()]

    with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        connection.settimeout(60)
        connection.sendall("\r\n".join(["POST / HTTP/1.1", "host: here", *lines, "", ""]).encode() + body)
        answers = b""
        while answers.count(b"\r\n\r\n") < 2:
            answers += connection.recv(65536)

    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2


def test_what_is_cut_off_in_its_body_was_taken(receivers: Receivers) -> None:
    receiver = _receiver(receivers, Behaviour.CLOSING)

    for _ in range(2 * CLOSES_EVERY):
        _post(receiver, uuid4())

    assert len(receiver.arrivals) - len(receiver.taken) == 1, "what was cut off in its headers"


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"webhook-signature": "v1,AAAA"}, "not signed"),
        ({"webhook-timestamp": "1"}, "not signed"),
        ({"webhook-id": str(uuid4())}, "not signed"),
    ],
)
def test_what_is_not_signed_is_found_out(receivers: Receivers, other: dict[str, str], found: str) -> None:
    assert _post(_receiver(receivers, Behaviour.HEALTHY), uuid4(), **other) == 400

    (wrong,) = receivers.wrong()
    assert found in wrong


def _log() -> list[Logged]:
    """Three events of each of two lanes."""
    return [
        Logged(seq, uuid4(), "payment.paid", LANES[seq % 2], LANES[seq % 2], f"digest {seq}") for seq in range(1, 7)
    ]


def _came(receiver: Receiver, log: list[Logged]) -> None:
    for event in log:
        receiver.arrivals[event.id] = event.digest
        receiver.taken.add(event.id)


def _one_less(log: list[Logged]) -> list[Logged]:
    return log[:-1]


def _two_of_a_lane_swapped(log: list[Logged]) -> list[Logged]:
    return [log[2], log[1], log[0], *log[3:]]


def _another_body(log: list[Logged]) -> list[Logged]:
    return [log[0]._replace(digest="another"), *log[1:]]


def _lanes_swapped(log: list[Logged]) -> list[Logged]:
    return [log[1], log[0], *log[2:]]


@pytest.mark.parametrize(
    ("tell_otherwise", "found"),
    [
        (lambda log: log, []),
        (_lanes_swapped, []),
        (_one_less, ["1 events did not arrive at the healthy receiver: 6 payment.paid"]),
        (_two_of_a_lane_swapped, ["event 1 came to the healthy receiver after 3 of its lane"]),
        (_another_body, ["is not that of the log"]),
    ],
)
def test_arrivals_that_are_not_as_promised_are_found_out(
    tell_otherwise: Callable[[list[Logged]], list[Logged]], found: list[str]
) -> None:
    log, receiver = _log(), Receiver(Behaviour.HEALTHY)
    _came(receiver, tell_otherwise(log))
    receiver.close()

    wrong = [*not_taken(receiver, log), *check_arrivals(receiver, log)]

    assert len(wrong) == len(found)
    assert all(text in line for text, line in zip(found, wrong, strict=True)), wrong


def test_numbers_with_a_gap_or_twice_are_found_out() -> None:
    log = _log()

    assert list(check_numbers(log, 0)) == []
    assert list(check_numbers(log[1:], 0))
    assert list(check_numbers([*log, log[0]._replace(seq=7)], 0))


PAID = ["checkout.session.opened", "payment.processing", "payment.paid", "order.placed"]


@pytest.mark.parametrize(
    ("types", "status", "found"),
    [
        (PAID, "paid", ""),
        (PAID[1:], "paid", "0 events of its opening"),
        ([*PAID, "payment.paid"], "paid", "payment.paid more than once"),
        (PAID[:2], "paid", "its last event is payment.processing"),
        ([*PAID, "payment.reversed"], "paid", "its last event is payment.reversed"),
        (PAID[:3], "paid", "has an order, and no event of it"),
    ],
)
def test_statuses_that_no_event_tells_are_found_out(types: list[str], status: str, found: str) -> None:
    wrong: list[Any] = list(check_money("a payment", status, PaymentStatus.PAID, types, ordered=True))

    assert bool(wrong) == bool(found)
    assert any(found in line for line in wrong) or not found
