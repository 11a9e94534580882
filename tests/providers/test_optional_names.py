"""Names that the mock provider and a provider of one's own may give: the same at both, and none of them is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent, UnreadableError
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    DisputeReason,
    Entry,
    NoneUnderWayEntry,
)
from tests.providers.kits import mock, standard
from tests.providers.kits.kit import AMOUNT, CURRENCY, Kit

KITS: dict[str, Kit] = {"mock": mock.KIT, "standard": standard.KIT}
MONEY = {"amount": Decimal("40.00"), "currency": CURRENCY}
AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(params=KITS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def event_of(name: str, subject: str, word: str, **details: Any) -> ProviderEvent | ProviderRefundEvent:
    """What a webhook says, spelled as each of the two spells it."""
    if name == "mock":
        details = {"occurred_at": AT.isoformat(), "event_id": "evt_1"} | details
        webhook = mock.KIT.says(word, **details)
    else:
        webhook = standard.KIT.says(f"{subject}.{word}", **details)
    (event,) = KITS[name].provider().verify_and_parse(webhook.raw(name)).events
    assert isinstance(event, ProviderEvent | ProviderRefundEvent)
    return event


def entries_of(name: str, subject: str, word: str, **details: Any) -> list[Entry]:
    event = event_of(name, subject, word, **details)
    assert isinstance(event, ProviderEvent)
    return list(event.entries)


def looked_up(name: str, status: str, **lists: Any) -> list[ProviderEvent | ProviderRefundEvent]:
    kit = KITS[name]
    held = {"provider_ref": kit.reference().provider_ref, "status": status, "amount": "240.00", "currency": "USD"}
    return list(
        kit.provider(answer=lambda _: httpx.Response(200, json=held | lists)).look_up(kit.reference())  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("word", [status.value for status in PaymentStatus if status is not PaymentStatus.PENDING])
def test_without_names_everything_follows_from_the_status(name: str, word: str) -> None:
    event = event_of(name, "payment", word)

    assert isinstance(event, ProviderEvent)
    assert (list(event.entries), event.status, event.amount) == ([], PaymentStatus(word), AMOUNT)


@pytest.mark.parametrize(
    ("word", "status"),
    [("processing", AttemptStatus.UNDER_WAY), ("failed", AttemptStatus.FAILED)]
    + [(each, AttemptStatus(each)) for each in ("expired", "canceled")],
)
def test_a_status_with_an_attempt_is_that_attempts(name: str, word: str, status: AttemptStatus) -> None:
    assert entries_of(name, "payment", word, attempt="try-1") == [AttemptEntry(ref="try-1", status=status)]


def test_an_authorisation_tells_how_much_and_until_when(name: str) -> None:
    details = {"attempt": "try-1", "expires_at": "2026-12-02T12:00:00Z"}
    expected = AttemptEntry(
        ref="try-1",
        status=AttemptStatus.AUTHORIZED,
        authorized=AMOUNT,
        currency=CURRENCY,
        expires_at=datetime(2026, 12, 2, 12, tzinfo=UTC),
    )
    assert entries_of(name, "payment", "authorized", **details) == [expected]


@pytest.mark.parametrize("word", ["paid", "partially_paid"])
def test_money_is_presumed_on_its_attempt_unless_its_capture_is_named(name: str, word: str) -> None:
    assert entries_of(name, "payment", word, attempt="try-1") == [
        AttemptEntry(ref="try-1", presumed=AMOUNT, currency=CURRENCY)
    ]
    for attempt in ({}, {"attempt": "try-1"}):
        assert entries_of(name, "payment", word, capture_ref="cap-1", amount="40.00", **attempt) == [
            CaptureEntry(
                ref="cap-1",
                status=CaptureStatus.SUCCEEDED,
                attempt_ref=attempt.get("attempt", ""),
                **MONEY,  # type: ignore[arg-type]
            )
        ]


@pytest.mark.parametrize("status", CaptureStatus)
def test_a_capture_has_statuses_of_its_own(name: str, status: CaptureStatus) -> None:
    event = event_of(name, "capture", status.value, capture_ref="cap-1", attempt="try-1", amount="40.00")

    assert isinstance(event, ProviderEvent)
    assert event.status is None
    assert list(event.entries) == [CaptureEntry(ref="cap-1", status=status, attempt_ref="try-1", **MONEY)]  # type: ignore[arg-type]


@pytest.mark.parametrize("status", DisputeStatus)
def test_a_dispute_has_words_and_its_money_goes_by_its_step(name: str, status: DisputeStatus) -> None:
    details = mock.MOVEMENTS["dispute"][status.value] | {"step": 3}
    expected: dict[str, Any] = {
        "ref": "dis-1",
        "stage": DisputeStage.CHARGEBACK,
        "status": status,
        "at": AT,
        "reason": DisputeReason.NOT_RECEIVED,
        "evidence_due_at": datetime(2026, 12, 9, 12, tzinfo=UTC),
        "capture_ref": "cap-1",
        "attempt_ref": "try-1",
    }
    details.pop("occurred_at")

    (entry,) = entries_of(name, "dispute", status.value, **details)

    blocks = status in {DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW}
    assert entry == DisputeEntry(step=3, money_out=True, blocks_refund=blocks, **expected, **MONEY)
    (other,) = entries_of(name, "dispute", status.value, dispute_ref="dis-1", amount="40.00")
    assert isinstance(other, DisputeEntry)
    assert (other.step, other.money_out) == (0, False), "a word moves no money"


def test_an_inquiry_blocks_nothing(name: str) -> None:
    (entry,) = entries_of(name, "dispute", "needs_response", dispute_ref="dis-1", stage="inquiry", amount="40.00")

    assert isinstance(entry, DisputeEntry)
    assert (entry.stage, entry.blocks_refund, entry.money_out) == (DisputeStage.INQUIRY, False, False)


def test_reversed_with_a_name_is_a_dispute_that_took_its_amount(name: str) -> None:
    (entry,) = entries_of(name, "payment", "reversed", dispute_ref="dis-1", amount="40.00")
    assert isinstance(entry, DisputeEntry)
    assert (entry.ref, entry.step, entry.money_out, entry.amount) == ("dis-1", 1, True, Decimal("40.00"))

    (back,) = entries_of(name, "payment", "reversed", step=2)
    assert isinstance(back, DisputeEntry)
    assert (back.ref, back.step, back.money_out) == ("", 2, False)


@pytest.mark.parametrize("status", ["processing", "succeeded", "failed"])
def test_a_refund_may_tell_what_it_is_of(name: str, status: str) -> None:
    event = event_of(name, "refund", status, refund_ref="ref-1", amount="40.00", capture_ref="cap-1", attempt="try-1")

    assert isinstance(event, ProviderRefundEvent)
    assert (event.capture_ref, event.attempt_ref, event.status) == ("cap-1", "try-1", RefundStatus(status))
    plain = event_of(name, "refund", status, refund_ref="ref-1", amount="40.00")
    assert isinstance(plain, ProviderRefundEvent)
    assert (plain.capture_ref, plain.attempt_ref) == (None, None)


@pytest.mark.parametrize(
    ("subject", "word", "details"),
    [
        ("payment", "processing", {"attempt": ""}),
        ("payment", "processing", {"attempt": None}),
        ("payment", "failed", {"attempt": "try-\u2028"}),
        ("payment", "paid", {"attempt": "try-1", "amount": 240}),
        ("payment", "paid", {"capture_ref": "", "amount": "40.00"}),
        ("payment", "paid", {"capture_ref": "cap-1", "amount": "-40.00"}),
        ("payment", "authorized", {"attempt": "try-1", "expires_at": "soon"}),
        ("payment", "reversed", {"dispute_ref": "dis-1", "amount": "4O"}),
        ("capture", "succeeded", {"capture_ref": 7, "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "dis-1", "step": "1", "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "dis-1", "step": -1, "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "dis-1", "step": 100, "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "dis-1", "step": True, "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "dis-1", "stage": "court", "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "", "amount": "40.00"}),
        ("dispute", "lost", {"dispute_ref": "dis-1", "amount": "40.00", "evidence_due_at": 7}),
    ],
    ids=str,
)
def test_a_name_that_is_given_wrongly_is_unreadable(
    name: str, subject: str, word: str, details: dict[str, Any]
) -> None:
    with pytest.raises(UnreadableError):
        event_of(name, subject, word, **details)


def test_words_that_nobody_knows_say_nothing(name: str) -> None:
    for subject in ("capture", "dispute", "attempt"):
        webhook = (
            mock.KIT.says("of another age", capture_ref="cap-1", dispute_ref="dis-1")
            if name == "mock"
            else standard.KIT.says(f"{subject}.of another age", capture_ref="cap-1", dispute_ref="dis-1")
        )
        assert KITS[name].provider().verify_and_parse(webhook.raw(name)).events == []


ATTEMPTS = [
    {"attempt": "try-1", "status": "failed"},
    {"attempt": "try-2", "status": "authorized", "amount": "240.00", "currency": "USD"},
]
CAPTURES = [{"capture_ref": "cap-1", "attempt": "try-2", "status": "succeeded", "amount": "40.00", "currency": "USD"}]
DISPUTES = [
    {
        "dispute_ref": "dis-1",
        "status": "lost",
        "stage": "chargeback",
        "step": 1,
        "at": AT.isoformat(),
        "amount": "40.00",
        "currency": "USD",
    }
]


def test_a_look_up_tells_of_every_entry_in_one_event(name: str) -> None:
    before = datetime.now(UTC)
    (event,) = looked_up(name, "partially_paid", attempts=ATTEMPTS, captures=CAPTURES, disputes=DISPUTES)

    assert isinstance(event, ProviderEvent)
    first, second, capture, dispute, over = event.entries
    assert first == AttemptEntry(ref="try-1", status=AttemptStatus.FAILED)
    assert second == AttemptEntry(ref="try-2", status=AttemptStatus.AUTHORIZED, authorized=AMOUNT, currency=CURRENCY)
    assert capture == CaptureEntry(ref="cap-1", status=CaptureStatus.SUCCEEDED, attempt_ref="try-2", **MONEY)  # type: ignore[arg-type]
    assert isinstance(dispute, DisputeEntry)
    assert (dispute.ref, dispute.at, dispute.step, dispute.money_out) == ("dis-1", AT, 1, True)
    assert isinstance(over, NoneUnderWayEntry)
    assert before <= over.at <= datetime.now(UTC)


def test_seeing_the_same_again_is_no_news_and_anything_else_is(name: str) -> None:
    def seen(status: str, **lists: Any) -> str:
        (event,) = looked_up(name, status, **lists)
        return event.event_id

    whole = seen("authorized", attempts=ATTEMPTS)
    assert seen("authorized", attempts=ATTEMPTS) == whole
    others = {
        seen("authorized", attempts=ATTEMPTS[1:]),
        seen("authorized", attempts=ATTEMPTS, captures=CAPTURES),
        seen("authorized", attempts=ATTEMPTS, disputes=DISPUTES),
        seen("canceled", attempts=ATTEMPTS),
    }
    assert len(others | {whole}) == 5


def test_a_look_up_without_attempts_says_that_none_is_under_way_and_is_not_recorded(name: str) -> None:
    (event,) = looked_up(name, "pending", attempts=[])

    assert isinstance(event, ProviderEvent)
    assert event.event_id == ""
    assert [type(entry) for entry in event.entries] == [NoneUnderWayEntry]


def test_while_an_attempt_is_under_way_nothing_is_over(name: str) -> None:
    (event,) = looked_up(name, "failed", attempts=[ATTEMPTS[0], {"attempt": "try-2", "status": "processing"}])

    assert isinstance(event, ProviderEvent)
    assert [type(entry) for entry in event.entries] == [AttemptEntry, AttemptEntry]


def test_beside_lists_the_status_closes_and_tells_of_money_only_where_nothing_else_does(name: str) -> None:
    (closed,) = looked_up(name, "canceled", attempts=[])
    (plain,) = looked_up(name, "paid", disputes=DISPUTES)
    (named,) = looked_up(name, "paid", captures=CAPTURES)

    assert isinstance(closed, ProviderEvent)
    assert ClosedEntry(status=PaymentStatus.CANCELED) in closed.entries
    assert isinstance(plain, ProviderEvent)
    assert AttemptEntry(presumed=AMOUNT, currency=CURRENCY) in plain.entries
    assert isinstance(named, ProviderEvent)
    assert [type(entry) for entry in named.entries] == [CaptureEntry]


@pytest.mark.parametrize(
    "lists",
    [
        {"attempts": {}},
        {"attempts": [7]},
        {"attempts": [{"status": "failed"}]},
        {"attempts": [{"attempt": "try-1", "status": "pending"}]},
        {"attempts": [{"attempt": "try-1", "status": "reversed"}]},
        {"attempts": [{"attempt": "try-1", "status": "of another age"}]},
        {"captures": [{"capture_ref": "cap-1", "status": "paid", "amount": "40.00", "currency": "USD"}]},
        {"captures": [{"capture_ref": "cap-1", "status": "succeeded"}]},
        {"disputes": [{"dispute_ref": "dis-1", "status": "lost"}]},
        {"disputes": [{"dispute_ref": "dis-1\ud83c", "status": "lost", "amount": "40.00", "currency": "USD"}]},
    ],
    ids=ascii,
)
def test_a_list_that_makes_no_sense_is_unreadable(name: str, lists: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        looked_up(name, "paid", **lists)
