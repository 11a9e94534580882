"""What the mock provider's server holds: payments, and how it answers about them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from time import sleep
from typing import Any, Final
from uuid import UUID

from checkout_service.local import mock_money
from checkout_service.local.mock_money import Moves, Report
from checkout_service.local.mock_refunds import Refunds

OPEN: Final = frozenset({"pending", "processing", "failed"})

GARBAGE: Final[dict[str, bytes]] = {
    "not_json": b"<html>It works!</html>",
    "array": b"[]",
    "empty": b"",
    "deep": b"[" * 100_000,
    "huge": b'{"provider_ref": "' + b"x" * 3_000_000 + b'"}',
    "huge_number": b'{"provider_ref": "mock_pi_1", "payment_token": "t", "currency": "USD", "amount": '
    + b"9" * 5000
    + b"}",
    "wrong_types": b'{"provider_ref": 7, "payment_token": null, "amount": 240.0, "currency": ["USD"], "status": {}}',
    "wrong_amount": b'{"provider_ref": "mock_pi_1", "payment_token": "t", "amount": "NaN", "currency": "USD"}',
    "nul": rb'{"provider_ref": "mock_pi_\u0000", "payment_token": "t", "currency": "USD", "status": "paid"}',
    "lone_surrogate": rb'{"provider_ref": "mock_pi_\ud800", "payment_token": "t", "currency": "USD", "status": "paid"}',
}
"""Answers, with status 200, that no provider adapter can use."""

FAILURES: Final = {"refuse": 402, "too_many": 429, "error": 500, "drop": 0}
"""Statuses to fail with; 0 closes the connection without a word."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How calls are answered. ``before`` and ``after`` name a failure: before or after the payment was made.

    ``in_progress`` is "never" (a retry waits), "retry" (409 while a call with the same key is at work) or "always".
    ``times`` is how many calls it holds for; without it, for all. ``refunds`` is the status of new refunds.
    """

    seconds: float = 0.0
    in_progress: str = "never"
    before: str | None = None
    after: str | None = None
    garbage: str | None = None
    times: int | None = None
    refunds: str = "succeeded"

    def __post_init__(self) -> None:
        known = (None, *FAILURES)
        if (
            not isinstance(self.seconds, int | float)
            or self.in_progress not in {"never", "retry", "always"}
            or self.before not in known
            or self.after not in known
            or self.garbage not in (None, *GARBAGE)
            or self.refunds not in {"processing", "succeeded", "failed"}
        ):
            raise ValueError("a behaviour that nobody knows")


class AnswerError(Exception):
    """Ends a call with a status, and perhaps a code that tells more, or with the connection closed."""

    def __init__(self, status: int, code: str | None = None) -> None:
        self.status = status
        self.code = code


class GarbageError(Exception):
    """Ends a call with bytes that nobody can use."""

    def __init__(self, body: bytes) -> None:
        self.body = body


class Bank:
    """The payments, and the calls at work; safe for threads. With ``journal``, a file, a restart forgets no payment."""

    def __init__(self, journal: Path | None = None) -> None:
        self._changed = threading.Condition()
        self._journal = journal
        self._payments: dict[str, dict[str, Any]] = _read(journal) if journal and journal.exists() else {}
        self._by_key: dict[str, str] = {}
        self._captures: dict[str, dict[str, Any]] = {}
        self._at_work: set[str] = set()
        self._refunds = Refunds()
        self._calls = {"open": 0, "look_up": 0, "cancel": 0, "refund": 0, "capture": 0, "void": 0}
        self._behaviour = Behaviour()

    def behave(self, behaviour: Behaviour) -> None:
        with self._changed:
            self._behaviour = behaviour

    def contents(self) -> dict[str, Any]:
        with self._changed:
            return {
                "payments": [dict(payment) for payment in self._payments.values()],
                "refunds": self._refunds.all(),
                "calls": dict(self._calls),
            }

    def forget(self) -> None:
        with self._changed:
            self._payments.clear()
            self._by_key.clear()
            self._captures.clear()
            self._refunds.forget()
            self._calls = dict.fromkeys(self._calls, 0)

    def put(self, reference: str, changes: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            fresh = {"provider_ref": reference, "payment_token": reference, "status": "pending"}
            payment = self._payments.setdefault(reference, fresh)
            payment.update(changes)
            if self._journal:
                with self._journal.open("a", encoding="utf-8") as journal:
                    journal.write("\n" + json.dumps(payment))  # a line begins anew, whatever a crash left of the last
            return dict(payment)

    def move(self, reference: str, moves: Moves) -> list[Report]:
        """Do with a payment's money what somebody wants; what the provider reports of it."""
        with self._changed:
            payment = deepcopy(self._payments[reference])
            reports = moves(payment)
            self.put(reference, payment)
            for report in reports:
                if "refund_ref" in report.details:
                    made = {name: value for name, value in report.details.items() if name != "refund_ref"}
                    self._refunds.put(reference, report.details["refund_ref"], made | {"status": report.status})
            return reports

    def report(self, reference: str, status: str, details: Mapping[str, str]) -> dict[str, Any]:
        """Know what a webhook tells that somebody else sends, as mock_money.take_report has it."""
        with self._changed:
            payment = deepcopy(self._payments.get(reference, {}))
            mock_money.take_report(payment, status, details)
            return self.put(reference, payment)

    def held(self, reference: str) -> dict[str, Any] | None:
        """The payment as it stands, for the provider's own page."""
        with self._changed:
            payment = self._payments.get(reference)
            return dict(payment) if payment else None

    def open(self, key: str, order: dict[str, str]) -> dict[str, str]:
        def make(_: Behaviour) -> dict[str, str]:
            if key not in self._by_key:
                reference = f"mock_pi_{UUID(order['payment_id']).hex}"
                self._by_key[key] = reference
                if "amount" not in self._payments.get(reference, {}):  # else it is from before a restart
                    fields = ("amount", "currency", "capture", "return_url")
                    self.put(reference, {name: order[name] for name in fields if name in order})
            return self._payments[self._by_key[key]]

        return self._work("open", key, make)

    def look_up(self, reference: str) -> dict[str, Any]:
        payment = mock_money.shown(self._work("look_up", reference, lambda _: self._payments.get(reference)))
        with self._changed:
            refunds = self._refunds.of(reference)
        return payment | {"refunds": refunds} if refunds else payment

    def refund(self, reference: str, key: str, order: dict[str, str]) -> dict[str, Any]:
        """Give back; the same key gets the same refund. Refused when nothing was paid, or less than that is left."""

        def give(behaviour: Behaviour) -> dict[str, Any]:
            paid = mock_money.refundable(self._payments.get(reference, {}))
            made = self._refunds.make(reference, key, order, paid, status=behaviour.refunds)
            if made is None:
                raise AnswerError(422, "more_than_is_left")
            return made

        return self._work("refund", key, give)

    def capture(self, reference: str, key: str, order: dict[str, Any]) -> dict[str, Any]:
        """Capture what is held back; the same key gets the same capture. Refused when less than that is left."""

        def take(_: Behaviour) -> dict[str, Any]:
            if key not in self._captures:
                payment, amount = deepcopy(self._payments.get(reference, {})), Decimal(order["amount"])
                if not 0 < amount <= mock_money.uncaptured(payment):
                    raise AnswerError(422, "more_than_is_authorized")
                mock_money.capture(payment, amount, final=bool(order["final"]), request_id=order["request_id"])
                self.put(reference, payment)
                self._captures[key] = payment["captures"][-1]
            return self._captures[key]

        return self._work("capture", key, take)

    def void(self, reference: str, key: str) -> dict[str, Any]:
        """Release what is held back; the payment as it stands then. Refused where nothing was ever held back."""

        def give_up(_: Behaviour) -> dict[str, Any] | None:
            payment = deepcopy(self._payments.get(reference, {}))
            if not payment.get("attempts"):
                raise AnswerError(422, "nothing_is_authorized")
            if mock_money.uncaptured(payment) > 0:
                mock_money.release(payment)
                self.put(reference, payment)
            return self._payments.get(reference)

        return self._work("void", key, give_up)

    def put_refund(self, reference: str, refund_ref: str, changes: dict[str, str]) -> dict[str, Any]:
        """As if somebody had made it in the provider's dashboard, or a bank had acted on it."""
        with self._changed:
            return self._refunds.put(reference, refund_ref, changes)

    def cancel(self, reference: str) -> dict[str, str]:
        def close(_: Behaviour) -> dict[str, str] | None:
            if self._payments.get(reference, {}).get("status") in OPEN:
                self.put(reference, {"status": "canceled"})
            return self._payments.get(reference)

        return mock_money.shown(self._work("cancel", reference, close))

    def _work(self, call: str, key: str, act: Callable[[Behaviour], dict[str, Any] | None]) -> dict[str, Any]:
        """One call, alone with its key, in the way that the behaviour wants."""
        with self._changed:
            behaviour = self._begin(call, key)
        try:
            sleep(behaviour.seconds)
            _fail(behaviour.before)
            with self._changed:
                made = act(behaviour)
            _fail(behaviour.after)
        finally:
            with self._changed:
                self._at_work.discard(key)
                self._changed.notify_all()
        if behaviour.garbage:
            raise GarbageError(GARBAGE[behaviour.garbage])
        if made is None:
            raise AnswerError(404)
        return dict(made)

    def _begin(self, call: str, key: str) -> Behaviour:
        self._calls[call] += 1
        behaviour = self._behaviour
        if behaviour.times is not None:
            left = behaviour.times - 1
            self._behaviour = Behaviour(**(asdict(behaviour) | {"times": left})) if left > 0 else Behaviour()
        retry = key in self._at_work
        if behaviour.in_progress == "always" or (retry and behaviour.in_progress == "retry"):
            raise AnswerError(409)
        self._changed.wait_for(lambda: key not in self._at_work)
        self._at_work.add(key)
        return behaviour


def _read(journal: Path) -> dict[str, dict[str, str]]:
    """Each payment as it was written last; a line that a crash cut off is passed over."""
    payments: dict[str, dict[str, str]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, KeyError, TypeError):
            payment = json.loads(line)
            payments[payment["provider_ref"]] = payment
    return payments


def _fail(failure: str | None) -> None:
    if failure is not None:
        raise AnswerError(FAILURES[failure])
