"""Two providers that name alike: a payment, a capture, an attempt, a dispute, a refund. Each moves its own alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from tests.conftest import Sql
from tests.refunding import refund_event
from tests.webhook_bodies import insert_payment
from tests.worker.transitions.entered import attempt, capture, dispute, enter, news
from worker.references import references
from worker.transitions.outcomes import Outcome

pytestmark = pytest.mark.usefixtures("worker")

REF = "alike_1"
OURS, THEIRS = "stripe", "adyen"


@pytest.fixture
def alike(sql: Sql) -> dict[str, UUID]:
    """A payment at each of two providers, by the provider's name; both have one reference."""
    for provider in (OURS, THEIRS):
        insert_payment(sql, provider=provider, provider_ref=REF)
    return {row.provider: row.id for row in sql("SELECT id, provider FROM payments")}


def at(provider: str, *entries: Any, **values: Any) -> ProviderEvent:
    return replace(news(REF, *entries, **values), provider=provider)


def refund_at(provider: str, **values: Any) -> ProviderRefundEvent:
    return replace(refund_event(REF, "succeeded", **values), provider=provider)


def now(sql: Sql, payments: Iterable[UUID]) -> list[tuple[str, ...]]:
    return [
        tuple(
            sql(
                """SELECT status::text, trim_scale(amount_captured)::text, trim_scale(amount_lost)::text,
                    trim_scale(amount_refunded)::text, coalesce(review_reason, '')
                FROM payments WHERE id = :id""",
                id=payment,
            )[0]
        )
        for payment in payments
    ]


UNTOUCHED = ("pending", "0", "0", "0", "")


def test_what_one_provider_says_moves_its_own_payment_alone(sql: Sql, alike: dict[str, UUID]) -> None:
    for provider, other in ((OURS, THEIRS), (THEIRS, OURS)):
        before = now(sql, [alike[other]])

        assert enter(at(provider, capture("cap_1", "240.00", attempt_ref="try_1"))) == [Outcome.APPLIED]

        assert now(sql, [alike[provider]]) == [("paid", "240", "0", "0", "")]
        assert now(sql, [alike[other]]) == before
    assert len(sql("SELECT FROM captures WHERE capture_ref = 'cap_1'")) == 2


def test_two_sets_of_names_in_one_set_of_events_stay_apart(sql: Sql, alike: dict[str, UUID]) -> None:
    outcomes = enter(
        at(OURS, attempt("try_1", "authorized", authorized=Decimal("240.00"))),
        at(THEIRS, attempt("try_1", "failed")),
        at(OURS, capture("cap_1", "240.00", attempt_ref="try_1")),
        at(THEIRS, capture("cap_1", "100.00", attempt_ref="try_1")),
        at(THEIRS, dispute("dis_1", "lost", "100.00", capture_ref="cap_1", step=1, money_out=True)),
        at(OURS, dispute("dis_1", "needs_response", capture_ref="cap_1")),
        refund_at(OURS, capture_ref="cap_1"),
    )

    assert outcomes == [Outcome.APPLIED] * 7
    ours, theirs = now(sql, [alike[OURS], alike[THEIRS]])
    assert ours[:4] == ("paid", "240", "0", "40")
    assert theirs[:4] == ("reversed", "100", "100", "0")


def test_an_event_without_a_reference_finds_the_payment_of_its_provider(sql: Sql, alike: dict[str, UUID]) -> None:
    enter(at(OURS, capture("cap_1", "240.00")), at(THEIRS, capture("cap_1", "240.00")))
    nameless = replace(
        at(THEIRS, dispute("dis_1", "lost", "240.00", capture_ref="cap_1", step=1, money_out=True), names=("cap_1",)),
        provider_ref="",
    )

    assert enter(nameless) == [Outcome.APPLIED]

    assert [row[0] for row in now(sql, [alike[OURS], alike[THEIRS]])] == ["paid", "reversed"]


def test_a_refund_is_of_the_payment_of_its_provider(sql: Sql, alike: dict[str, UUID]) -> None:
    enter(at(OURS, capture("cap_1", "240.00")), at(THEIRS, capture("cap_1", "240.00")))

    assert enter(refund_at(THEIRS)) == [Outcome.APPLIED]
    assert [row[3] for row in now(sql, [alike[OURS], alike[THEIRS]])] == ["0", "40"]
    assert enter(refund_at(OURS)) == [Outcome.APPLIED]

    rows = sql("SELECT payment_id, provider_ref FROM refunds ORDER BY id")
    assert [tuple(row) for row in rows] == [(alike[THEIRS], "re_1"), (alike[OURS], "re_1")]
    assert [row[3] for row in now(sql, [alike[OURS], alike[THEIRS]])] == ["40", "40"]


def test_a_payment_of_another_provider_is_not_waited_for(sql: Sql, superuser: Engine, alike: dict[str, UUID]) -> None:
    """Another worker holds it, with its cart: what names it alike goes on."""
    with superuser.connect().execution_options(isolation_level="READ COMMITTED") as other, other.begin():
        other.execute(text("SELECT FROM payments WHERE id = :id FOR UPDATE"), {"id": alike[THEIRS]})

        assert enter(at(OURS, capture("cap_1", "240.00"))) == [Outcome.APPLIED]

    assert [row[0] for row in now(sql, [alike[OURS], alike[THEIRS]])] == ["paid", "pending"]


def test_a_look_up_finds_the_payment_of_its_provider_alone(alike: dict[str, UUID]) -> None:
    found = references([(OURS, REF), ("mollie", REF)])

    assert {key: known.payment_id for key, known in found.items()} == {(OURS, REF): alike[OURS]}
