"""Why a person has to look at the payment of an order, and when that is over by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline, ProviderRefundEvent, ProviderRefusedError
from checkout_service.providers.entries import ClosedEntry, RefusedVoidEntry
from tests.conftest import Sql
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.scripted import ScriptedProvider
from tests.worker.transitions.entered import attempt, capture, dispute, enter, news, see_all_reasons
from worker.captures.voiding import void

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def listing(sql: Sql) -> UUID:
    return buying.listing(sql)


@pytest.fixture
def bought(sql: Sql, listing: UUID) -> Bought:
    """Two pieces, of which all is authorized."""
    made = buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2})
    enter(news(made.reference, attempt("at_1", "authorized", authorized=Decimal(80))))
    return made


def fulfil(sql: Sql, bought: Bought, qty: int) -> None:
    sql(
        """INSERT INTO fulfilments (order_id, lines, requested_by, idempotency_key, request_hash)
        SELECT line.order_id, jsonb_build_array(jsonb_build_object('line_id', line.id, 'qty', CAST(:qty AS integer))),
            uuidv7(), 'key', ''
        FROM order_lines AS line JOIN orders AS made ON made.id = line.order_id WHERE made.payment_id = :id""",
        id=bought.payment,
        qty=qty,
    )


def cancel(sql: Sql, bought: Bought) -> UUID | None:
    """Cancel the order; the void that was asked for."""
    return sql(
        """INSERT INTO order_cancellations (order_id, requested_by, idempotency_key, request_hash)
        SELECT id, uuidv7(), id::text, '' FROM orders WHERE payment_id = :id RETURNING void_id""",
        id=bought.payment,
    )[0].void_id


def given_back(bought: Bought, amount: str, name: str = "re_1") -> ProviderRefundEvent:
    return ProviderRefundEvent(
        provider="mock",
        provider_ref=bought.reference,
        event_id=f"evt_{name}",
        refund_ref=name,
        status=RefundStatus.SUCCEEDED,
        amount=Decimal(amount),
        currency="USD",
    )


ENDS: dict[str, Any] = {
    "voided": attempt("at_1", "canceled"),
    "expired": attempt("at_1", "expired"),
    "closed": ClosedEntry(status=PaymentStatus.EXPIRED),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize(("qty", "status"), [(2, "fulfilled"), (1, "partially_fulfilled")])
def test_goods_that_went_out_and_an_authorization_that_ended(
    sql: Sql, bought: Bought, end: Any, qty: int, status: str
) -> None:
    fulfil(sql, bought, qty)
    assert buying.review(sql, bought) is None

    enter(news(bought.reference, end))

    assert (buying.order(sql, bought), buying.review(sql, bought)) == (status, "fulfilled_unpaid")
    see_all_reasons(sql)
    assert buying.review(sql, bought) is None


def test_money_after_all_is_its_end(sql: Sql, bought: Bought) -> None:
    fulfil(sql, bought, 2)
    enter(news(bought.reference, attempt("at_1", "expired")))

    enter(news(bought.reference, attempt("at_2", "under_way")))
    assert buying.review(sql, bought) is None, "the customer pays in another way"
    enter(news(bought.reference, attempt("at_2", "failed")))
    assert buying.review(sql, bought) == "fulfilled_unpaid"
    enter(news(bought.reference, capture("ca_1", "80.00", attempt_ref="at_1")))
    assert buying.review(sql, bought) is None


def test_where_nothing_went_out_the_order_is_canceled_without_a_reason(sql: Sql, bought: Bought) -> None:
    enter(news(bought.reference, attempt("at_1", "expired")))

    assert (buying.order(sql, bought), buying.review(sql, bought)) == ("canceled", None)


@pytest.mark.parametrize("by", ["answer", "event"])
def test_a_void_of_a_cancellation_that_failed(sql: Sql, scripted: ScriptedProvider, bought: Bought, by: str) -> None:
    void_id = cancel(sql, bought)
    assert void_id is not None
    assert buying.review(sql, bought) is None, "it is under way"

    if by == "answer":
        scripted.voids[void_id] = ProviderRefusedError("no", reason=Decline.NOT_IN_THIS_STATE)
        assert void(str(void_id)) == "refused: not_in_this_state"
    else:
        enter(news(bought.reference, RefusedVoidEntry(void_id=str(void_id))))

    assert (buying.order(sql, bought), buying.review(sql, bought)) == ("canceled", "cancellation_unpaid")
    sql(
        "INSERT INTO voids (payment_id, requested_by, idempotency_key, request_hash) VALUES (:id, uuidv7(), 'k', '')",
        id=bought.payment,
    )
    enter(news(bought.reference, attempt("at_2", "failed")))
    assert buying.review(sql, bought) is None, "another one is under way"
    enter(news(bought.reference, attempt("at_1", "canceled")))
    assert buying.review(sql, bought) is None


def test_money_after_the_close_is_no_question_once_all_of_it_went_back(sql: Sql, bought: Bought) -> None:
    enter(news(bought.reference, ClosedEntry(status=PaymentStatus.CANCELED)))
    enter(news(bought.reference, capture("ca_1", "80.00", attempt_ref="at_1")))
    assert buying.review(sql, bought) == "paid_after_close"

    enter(given_back(bought, "30.00"))
    assert buying.review(sql, bought) == "paid_after_close"
    enter(given_back(bought, "50.00", "re_2"))
    assert buying.review(sql, bought) is None


def test_money_after_the_close_that_a_dispute_took_is_one_again_where_it_comes_back(sql: Sql, bought: Bought) -> None:
    enter(news(bought.reference, ClosedEntry(status=PaymentStatus.CANCELED)))
    enter(news(bought.reference, capture("ca_1", "80.00", attempt_ref="at_1")))

    enter(news(bought.reference, dispute("dp_1", "lost", "80.00", step=1, money_out=True)))
    assert buying.review(sql, bought) is None
    enter(news(bought.reference, dispute("dp_1", "won", "80.00", step=2, money_out=False)))
    assert buying.review(sql, bought) == "paid_after_close"
