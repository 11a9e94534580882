"""The history of one GoCardless payment: whatever order its events are listed in, money comes once and goes once."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.providers.adapters.gocardless.history import History, history_of
from checkout_service.providers.entries import CaptureEntry, DisputeEntry
from tests.providers.kits.gocardless import PAYMENT_REF, event

HISTORIES: dict[str, tuple[str, int, list[int]]] = {
    "under way": ("created submitted", 0, []),
    "collected": ("created submitted confirmed paid_out", 240, []),
    "a payout whose confirmation is not listed": ("created submitted paid_out", 240, []),
    "failed": ("created submitted failed", 0, []),
    "failed, retried, collected": ("created failed resubmission_requested submitted confirmed", 240, []),
    "late failure": ("created confirmed paid_out failed late_failure_settled", 240, [1]),
    "late failure, retried": ("created confirmed failed resubmission_requested confirmed paid_out", 240, [2]),
    "late failure, retried in vain": ("created confirmed failed resubmission_requested failed", 240, [1]),
    "two late failures": ("created confirmed failed resubmission_requested confirmed failed", 240, [3]),
    "charged back": ("created confirmed charged_back chargeback_settled", 240, [1]),
    "charged back before it was confirmed": ("created submitted charged_back", 240, [1]),
    "charge back cancelled": ("created confirmed charged_back chargeback_cancelled", 240, [2]),
    "charged back twice": ("created confirmed charged_back chargeback_cancelled charged_back", 240, [3]),
    "charged back again without an end": ("created confirmed charged_back charged_back failed", 240, [1]),
    "failed late and charged back": ("created confirmed failed charged_back", 240, [1]),
    "charged back, failed as well, and back": ("created confirmed charged_back failed chargeback_cancelled", 240, [2]),
    "failed late, retried while charged back": ("created confirmed failed charged_back confirmed", 240, [2]),
    "confirmed again while charged back": ("created charged_back confirmed", 240, [1]),
    "failed, then charged back before the retry is confirmed": ("created failed charged_back confirmed", 240, [1]),
    "a cancelled charge back that never was": ("created confirmed chargeback_cancelled", 240, []),
    "cancelled": ("created cancelled", 0, []),
}


def read(events: list[dict[str, Any]]) -> History:
    return history_of(PAYMENT_REF, events, amount=Decimal(240), currency="USD")


def money(history: History) -> tuple[Decimal, list[int]]:
    """What came, and the newest step of each dispute, the first dispute first."""
    came: dict[str, Decimal] = {}
    steps: dict[str, int] = {}
    for entry in (entry for step in history.steps for entry in step.entries):
        if isinstance(entry, CaptureEntry):
            came[entry.ref] = entry.amount
        if isinstance(entry, DisputeEntry):
            steps[entry.ref] = max(steps.get(entry.ref, 0), entry.step)
            assert entry.amount == Decimal(240)
            assert entry.money_out is (entry.step % 2 == 1)
            assert entry.ref == PAYMENT_REF
    return sum(came.values(), Decimal(0)), list(steps.values())


@pytest.mark.parametrize(("actions", "came", "steps"), HISTORIES.values(), ids=HISTORIES.keys())
def test_a_history_is_read_alike_in_any_order_and_with_anything_twice(
    actions: str, came: int, steps: list[int]
) -> None:
    events = [event("payments", action, number, payment=PAYMENT_REF) for number, action in enumerate(actions.split())]
    whole = read(events)
    assert money(whole) == (came, steps)
    shuffler = random.Random(actions)
    for _ in range(30):
        shuffled = shuffler.sample([*events, *events], 2 * len(events))
        assert read(shuffled) == whole


@pytest.mark.parametrize(("actions", "came", "steps"), HISTORIES.values(), ids=HISTORIES.keys())
def test_each_beginning_of_a_history_is_the_beginning_of_its_steps(actions: str, came: int, steps: list[int]) -> None:
    """So what one look-up recorded by an event's id, a later one says again."""
    events = [event("payments", action, number, payment=PAYMENT_REF) for number, action in enumerate(actions.split())]
    whole = read(events).steps
    for length in range(len(events) + 1):
        part = read(events[:length]).steps
        assert part == whole[: len(part)]


MOVING = ("confirmed", "paid_out", "failed", "charged_back", "chargeback_cancelled")


def test_a_part_of_a_history_never_has_more_movements_than_all_of_it() -> None:
    """What is listed late may be missing anywhere. The greatest movement counts, so none may be a ghost."""
    made = {
        action: [event("payments", action, number, payment=PAYMENT_REF) for number in range(6)] for action in MOVING
    }
    movements: dict[tuple[str, ...], int] = {}
    for length in range(7):
        for actions in itertools.product(MOVING, repeat=length):
            history = read([made[action][place] for place, action in enumerate(actions)])
            movements[actions] = history.movements
            for missing in range(length):
                part = actions[:missing] + actions[missing + 1 :]
                assert movements[part] <= history.movements, (actions, part)


def test_an_event_that_turns_out_to_be_a_later_movement_is_news_again() -> None:
    actions = ("confirmed", "charged_back", "chargeback_cancelled", "charged_back")
    events = [event("payments", action, number, payment=PAYMENT_REF) for number, action in enumerate(actions)]
    early, late = read([events[0], events[3]]).steps[-1], read(events).steps[-1]
    assert (early.event_id, late.event_id) == ("EV000000000003:1", "EV000000000003:3")


def test_of_events_of_one_moment_the_one_that_goes_before_counts_first() -> None:
    moment = "2026-11-25T12:00:00.000Z"
    actions = ("charged_back", "confirmed", "created", "submitted", "failed")
    events = [event("payments", action, number, payment=PAYMENT_REF) for number, action in enumerate(actions)]
    history = read([each | {"created_at": moment} for each in events])
    assert money(history) == (240, [1])
    assert [step.event_id for step in history.steps][-1] == "EV000000000004:1"


def test_events_of_other_things_in_the_list_are_none_of_its_history() -> None:
    events = [event("payments", "confirmed", 1, payment=PAYMENT_REF), event("refunds", "created", 2, refund="RF1")]
    assert money(read(events)) == (240, [])
