"""The task that has authorisations released: done when nothing is open any more, by whatever event."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from checkout_service.payments.status import AttemptStatus, PaymentStatus
from checkout_service.providers.base import Decline, ProviderEvent, ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.entries import AttemptEntry, ClosedEntry
from tests.capturing import authorized_payment, insert_void, make_requests_due, request_row
from tests.conftest import Sql
from tests.money import capture, fold
from tests.worker.scripted import ScriptedProvider
from worker.captures.voiding import void
from worker.payments.sweeping import sweep


def reported(reference: str, *entries: Any) -> ProviderEvent:
    return ProviderEvent(
        provider="mock", provider_ref=reference, event_id=f"evt_{uuid4().hex}", status=None, entries=entries
    )


def canceled(reference: str, ref: str = "at_1") -> ProviderEvent:
    return reported(reference, AttemptEntry(ref=ref, status=AttemptStatus.CANCELED))


def row_of(sql: Sql, void_id: UUID) -> Any:
    return request_row(sql, "voids", void_id)


def status_of(sql: Sql, reference: str) -> str:
    return sql("SELECT status::text AS now FROM payments WHERE provider_ref = :ref", ref=reference)[0].now


@pytest.fixture
def outstanding(sql: Sql, scripted: ScriptedProvider) -> tuple[UUID, str]:
    """A void of 240.00 that was asked for, and its payment's reference."""
    payment, reference = authorized_payment(sql, refs=("at_1",))
    return insert_void(sql, payment), reference


def test_a_void_is_requested_with_its_own_id_and_done_at_once(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    void_id, reference = outstanding
    scripted.voids[void_id] = [canceled(reference)]

    assert void(str(void_id)) == "succeeded"

    assert scripted.voided == [(void_id, "at_1")]
    assert (row_of(sql, void_id).now, status_of(sql, reference)) == ("succeeded", "canceled")
    assert void(str(void_id)) == "nothing is outstanding now"


@pytest.mark.parametrize("entry", ["canceled", "rest_released", "closed"])
def test_a_void_that_is_under_way_ends_by_an_event_soon_after(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], messages: Any, entry: str
) -> None:
    void_id, _ = outstanding
    assert void(str(void_id)) == "processing"
    assert row_of(sql, void_id).now == "processing"
    assert sweep() == "sent 0 of 0 that are due"

    payment = row_of(sql, void_id).payment_id
    if entry == "closed":
        sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY['canceled']::payment_status[])", id=payment)
    else:
        change = "status = 'canceled'" if entry == "canceled" else "rest_released = true"
        sql(f"UPDATE payment_attempts SET {change}, updated_at = now()")
        fold(sql, payment)

    assert sweep() == "sent 1 of 1 that are due"
    assert void(str(void_id)) == "succeeded"
    assert row_of(sql, void_id).now == "succeeded"
    assert len(scripted.voided) == 1


def test_a_void_that_is_under_way_is_looked_up(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]
) -> None:
    void_id, reference = outstanding
    void(str(void_id))
    scripted.truths[reference] = [reported(reference, ClosedEntry(status=PaymentStatus.CANCELED))]
    make_requests_due(sql)

    assert void(str(void_id)) == "later: still processing"
    assert scripted.looked_up == [reference]
    assert void(str(void_id)) == "succeeded"


@pytest.mark.parametrize("closing", [False, True], ids=["silently", "as Stripe says it"])
def test_what_was_captured_before_is_not_voided(
    sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str], closing: bool
) -> None:
    void_id, reference = outstanding
    payment = row_of(sql, void_id).payment_id
    capture(sql, payment, "ca_1", "240", attempt_ref="at_1")
    if closing:
        sql("UPDATE payment_attempts SET rest_released = true, updated_at = now()")
    fold(sql, payment)

    assert void(str(void_id)) == "refused: not_in_this_state"

    assert scripted.voided == []
    assert (row_of(sql, void_id).now, row_of(sql, void_id).decline) == ("failed", "not_in_this_state")
    assert status_of(sql, reference) == "paid"


def test_several_authorisations_are_released_each_with_a_key_of_its_own(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = authorized_payment(sql, refs=("at_1", "at_2"))
    void_id = insert_void(sql, payment)
    scripted.voids[uuid5(void_id, "at_1")] = [canceled(reference)]
    scripted.voids[uuid5(void_id, "at_2")] = [canceled(reference, "at_2")]

    assert void(str(void_id)) == "succeeded"
    assert scripted.voided == [(uuid5(void_id, "at_1"), "at_1"), (uuid5(void_id, "at_2"), "at_2")]


def test_a_partial_capture_leaves_the_rest_to_be_voided(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = authorized_payment(sql, refs=("at_1",))
    capture(sql, payment, "ca_1", "200", attempt_ref="at_1")
    fold(sql, payment)
    void_id = insert_void(sql, payment)
    assert row_of(sql, void_id).releases == Decimal(40)
    scripted.voids[void_id] = [
        reported(reference, AttemptEntry(ref="at_1", status=AttemptStatus.AUTHORIZED, rest_released=True))
    ]

    assert void(str(void_id)) == "succeeded"
    assert status_of(sql, reference) == "partially_paid"


def test_no_answer_is_requested_again(sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]) -> None:
    void_id, reference = outstanding
    scripted.voids[void_id] = ProviderUnavailableError("status 503")
    assert void(str(void_id)) == "later: unavailable: status 503"

    scripted.voids[void_id] = [canceled(reference)]
    make_requests_due(sql)
    assert void(str(void_id)) == "succeeded"
    assert scripted.voided == [(void_id, "at_1")] * 2


def test_a_refusal_is_final(sql: Sql, scripted: ScriptedProvider, outstanding: tuple[UUID, str]) -> None:
    void_id, reference = outstanding
    scripted.voids[void_id] = ProviderRefusedError("captured", reason=Decline.NOT_IN_THIS_STATE)

    assert void(str(void_id)) == "refused: not_in_this_state"

    assert (row_of(sql, void_id).now, status_of(sql, reference)) == ("failed", "authorized")
    assert row_of(sql, void_id).detail == "captured"
