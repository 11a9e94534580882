"""What a scenario's line is made of."""

from __future__ import annotations

import json

from checkout_service.payments.status import PaymentStatus
from tests.cluster.measure import Outcome, longest_gap
from tests.cluster.report import HEADING, table
from tests.conftest import ROOT
from tests.faults.journal import Journal, Key
from tests.faults.wire import Answer

PAID = PaymentStatus.PAID


def test_silence_counts_from_a_moment_on_and_to_the_end() -> None:
    assert longest_gap([1.0, 2.0, 9.0], since=3.0, until=10.0) == 6.0
    assert longest_gap([1.0, 4.0], since=3.0, until=10.0) == 6.0
    assert longest_gap([], since=3.0, until=10.0) == 7.0


def test_what_was_refused_acknowledges_nothing() -> None:
    journal = Journal()
    for status in (200, 202, 201, 409, 503, 0):
        headers = {"retry-after": "1"}
        journal.note("x", Answer(status=status, headers=headers, seconds=0.1), 200, 201, 202, 409)
    assert len(journal.acknowledged) == 2
    assert (journal.answers[503], journal.answers[0], journal.wrong) == (1, 1, [])


def test_what_is_known_to_be_lost_is_held_against_nobody() -> None:
    journal = Journal()
    for token in ("gone", "here"):
        journal.opened(token, Key(headers={}, body=b"", answer={"payment_token": token}))
        journal.promised(token, f"event of {token}", PAID, f"delivery of {token}")
    journal.promised("here", "another", PAID, "lost delivery")

    journal.forget_lost({"gone"}, {"lost delivery"})

    assert journal.events == {"here": {"event of here": PAID, "another": PAID}}
    assert [key.answer["payment_token"] for key in journal.keys] == ["here"]
    assert journal.deliveries == {"delivery of here"}


def test_a_broken_promise_is_seen_in_line_and_table() -> None:
    numbers = dict.fromkeys(("acknowledged", "lost", "doubled", "differing", "requests", "late", "old_reads"), 0)
    numbers |= dict.fromkeys(("unanswered", "refused", "internal_errors"), 0)
    times = dict.fromkeys(("silent_s", "last_applied_s", "waited_s", "answered_s"), 0.1)
    outcome = Outcome(name="crash", **numbers, **times, held=False, wrong=["x"])  # type: ignore[arg-type]
    assert json.loads(outcome.line()).items() >= {"name": "crash", "lost": 0, "silent_s": 0.1, "held": False}.items()
    assert table([outcome])[-1].endswith("| NO |")


def test_the_page_has_a_place_for_the_table() -> None:
    assert f"\n{HEADING}\n" in (ROOT / "docs" / "availability.md").read_text(encoding="utf-8")
