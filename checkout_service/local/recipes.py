"""How each type of event comes about, step by step; and of which types it would take days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from checkout_service.local import mock_money
from checkout_service.local.mock_money import Report
from checkout_service.local.triggering import COMES_WITHIN, DUE_WITHIN, Scene
from checkout_service.money import show
from checkout_service.providers.entries import DisputeReason

SOON: Final = timedelta(hours=12)
"""A time limit that is near: of evidence, of an authorization."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The steps after which the event comes, ``within`` so many seconds; and what puts things back afterwards.

    ``money`` tells that money comes in it, which may be late (what expired is authorized no more); ``webhooks`` that
    a provider reports anything, ``reorders`` that something may come before it.
    """

    steps: Callable[[Scene], None]
    money: bool = False
    webhooks: bool = True
    reorders: bool = True
    within: float = COMES_WITHIN
    afterwards: Callable[[Scene], None] | None = None


def _opened(scene: Scene) -> None:
    scene.open()


def _reported(status: str) -> Callable[[Scene], None]:
    def steps(scene: Scene) -> None:
        scene.open()
        scene.tell(Report(status=status))

    return steps


def _authorized(scene: Scene) -> None:
    scene.open()
    scene.move(mock_money.authorize)


def _paid(scene: Scene) -> None:
    scene.open()
    scene.pay()


def _paid_and_placed(scene: Scene) -> None:
    _paid(scene)
    scene.wait_for("order.placed")


def _partly_paid(scene: Scene) -> None:
    payment = scene.open().payment
    half = show((Decimal(payment["amount"]) / 2).quantize(Decimal(1)), payment["currency"])
    scene.come_late()
    scene.tell(Report(status="partially_paid", details={"amount": half}))


def _voided(scene: Scene) -> None:
    _authorized(scene)
    scene.wait_for("payment.authorized")
    scene.ask(f"/admin/payments/{scene.current.payment_id}/void")


def _reversed(scene: Scene) -> None:
    _paid_and_placed(scene)
    scene.tell(Report(status="reversed"))


def _reinstated(scene: Scene) -> None:
    _paid_and_placed(scene)
    lost = _dispute(scene, whole=True) | {"step": 1}
    scene.tell(Report(status="lost", details=lost))
    scene.wait_for("payment.reversed")
    scene.tell(Report(status="won", details=lost | {"step": 2}))


def _paid_too_much(scene: Scene) -> None:
    payment = scene.open().payment
    scene.pay(amount=show(Decimal(payment["amount"]) + 1, payment["currency"]))


def _captured(scene: Scene) -> None:
    _authorized(scene)
    scene.wait_for("payment.authorized")
    scene.move(mock_money.capture_all)


def _capture_refused(scene: Scene) -> None:
    _authorized(scene)
    scene.wait_for("payment.authorized")
    payment = scene.current.payment
    details = {"capture_ref": f"mock_cp_{uuid4().hex}", "attempt": payment["attempts"][-1]["attempt"]}
    scene.tell(Report(status="refused", details=details | _money(scene)))


def _refunded(scene: Scene) -> None:
    _paid_and_placed(scene)
    scene.ask(f"/payments/{scene.current.payment_id}/refunds", {})


def _refund_failed(scene: Scene) -> None:
    _paid_and_placed(scene)
    scene.tell(Report(status="failed", details={"refund_ref": f"mock_re_{uuid4().hex}"} | _money(scene)))


def _disputed(*words: str, step: int = 0, back: int | None = None) -> Callable[[Scene], None]:
    """Paid, then disputed with each of these words in turn; ``step`` odd: the bank took the money with the last."""

    def steps(scene: Scene) -> None:
        _paid_and_placed(scene)
        dispute = _dispute(scene)
        for word in words:
            is_last = word == words[-1]
            scene.tell(Report(status=word, details=dispute | {"step": step if is_last else 0}))
            if not is_last:
                scene.wait_for("dispute.opened")
        if back is not None:
            scene.wait_for("dispute.funds_withdrawn")
            scene.tell(Report(status=words[-1], details=dispute | {"step": back}))

    return steps


def _evidence_due(scene: Scene) -> None:
    _paid_and_placed(scene)
    due = {"evidence_due_at": (datetime.now(UTC) + SOON).isoformat(timespec="milliseconds")}
    scene.tell(Report(status="needs_response", details=_dispute(scene) | due))
    scene.wait_for("dispute.opened")
    scene.call_housekeeping()


def _expiring(scene: Scene) -> None:
    scene.open()
    attempt = {"attempt": f"mock_at_{uuid4().hex}"} | _money(scene)
    attempt["expires_at"] = (datetime.now(UTC) + SOON).isoformat(timespec="milliseconds")
    scene.current.payment["attempts"] = [attempt | {"status": "authorized"}]
    scene.current.payment["status"] = "authorized"
    scene.tell(Report(status="authorized", details=attempt))
    scene.wait_for("payment.authorized")
    scene.call_housekeeping()


def _fulfilled(scene: Scene) -> None:
    _paid_and_placed(scene)
    scene.ask(f"/admin/orders/{scene.order()['id']}/fulfilments", {})


def _partly_fulfilled(scene: Scene) -> None:
    _paid_and_placed(scene)
    order = scene.order()
    lines = [{"line_id": order["lines"][0]["id"], "qty": 1}]
    scene.ask(f"/admin/orders/{order['id']}/fulfilments", {"lines": lines})


def _canceled(scene: Scene) -> None:
    _paid_and_placed(scene)
    scene.ask(f"/admin/orders/{scene.order()['id']}/cancel", {})


def _short(scene: Scene) -> None:
    """A customer's session ends, another buys all that was held for it, and then the first one's money comes."""
    first = scene.open(all_pieces=True)
    scene.tell(Report(status="expired"))
    scene.wait_for("payment.expired")
    scene.open(all_pieces=True)
    scene.tell(Report(status="paid"))
    scene.wait_for("order.placed")
    scene.others.append(scene.order()["id"])
    scene.opened, scene.lane = first, first.payment_id
    scene.tell(Report(status="paid"))


def _give_back(scene: Scene) -> None:
    """Cancel the order that took all pieces, so that they are on sale again."""
    for order_id in scene.others:
        scene.ask(f"/admin/orders/{order_id}/cancel", {})


def _all_held(scene: Scene) -> None:
    scene.lane = scene.open(all_pieces=True).listing_id
    scene.call_housekeeping()


def _release(scene: Scene) -> None:
    """The session ends, and its pieces are on sale again."""
    scene.tell(Report(status="canceled"))


def _money(scene: Scene) -> dict[str, Any]:
    return {name: scene.current.payment[name] for name in ("amount", "currency")}


def _dispute(scene: Scene, *, whole: bool = False) -> dict[str, Any]:
    """A chargeback over all of the payment, or over half of it."""
    money = _money(scene)
    if not whole:
        money["amount"] = show((Decimal(money["amount"]) / 2).quantize(Decimal(1)), money["currency"])
    reason = DisputeReason.NOT_RECEIVED.value
    return {"dispute_ref": f"mock_dp_{uuid4().hex}", "stage": "chargeback", "reason": reason} | money


RECIPES: Final[Mapping[str, Recipe]] = {
    "checkout.session.opened": Recipe(steps=_opened, webhooks=False),
    "checkout.session.expired": Recipe(steps=_reported("expired")),
    "checkout.session.canceled": Recipe(steps=_reported("canceled")),
    "payment.processing": Recipe(steps=_reported("processing"), reorders=False),
    "payment.authorized": Recipe(steps=_authorized),
    "payment.paid": Recipe(steps=_paid, money=True),
    "payment.partially_paid": Recipe(steps=_partly_paid, money=True),
    "payment.failed": Recipe(steps=_reported("failed")),
    "payment.canceled": Recipe(steps=_reported("canceled")),
    "payment.expired": Recipe(steps=_reported("expired")),
    "payment.voided": Recipe(steps=_voided),
    "payment.reversed": Recipe(steps=_reversed, money=True),
    "payment.reinstated": Recipe(steps=_reinstated, money=True),
    "payment.flagged": Recipe(steps=_paid_too_much, money=True),
    "capture.succeeded": Recipe(steps=_captured),
    "capture.failed": Recipe(steps=_capture_refused),
    "refund.requested": Recipe(steps=_refunded, money=True),
    "refund.succeeded": Recipe(steps=_refunded, money=True),
    "refund.failed": Recipe(steps=_refund_failed, money=True),
    "dispute.opened": Recipe(steps=_disputed("needs_response"), money=True),
    "dispute.updated": Recipe(steps=_disputed("needs_response", "under_review"), money=True),
    "dispute.funds_withdrawn": Recipe(steps=_disputed("needs_response", step=1), money=True),
    "dispute.funds_reinstated": Recipe(steps=_disputed("needs_response", step=1, back=2), money=True),
    "dispute.evidence_due": Recipe(steps=_evidence_due, money=True, within=DUE_WITHIN),
    "dispute.won": Recipe(steps=_disputed("needs_response", "won"), money=True),
    "dispute.lost": Recipe(steps=_disputed("needs_response", "lost", step=1), money=True),
    "dispute.accepted": Recipe(steps=_disputed("needs_response", "accepted", step=1), money=True),
    "dispute.expired": Recipe(steps=_disputed("needs_response", "expired", step=1), money=True),
    "order.placed": Recipe(steps=_paid, money=True),
    "order.partially_fulfilled": Recipe(steps=_partly_fulfilled, money=True),
    "order.fulfilled": Recipe(steps=_fulfilled, money=True),
    "order.canceled": Recipe(steps=_canceled, money=True),
    "order.short": Recipe(steps=_short, afterwards=_give_back),
    "order.on_hold": Recipe(steps=_disputed("needs_response"), money=True),
    "authorization.expiring": Recipe(steps=_expiring, within=DUE_WITHIN),
    "stock.low": Recipe(steps=_all_held, webhooks=False, within=DUE_WITHIN, afterwards=_release),
    "stock.sold_out": Recipe(steps=_all_held, webhooks=False, within=DUE_WITHIN, afterwards=_release),
}

_SETTLED: Final = "a provider's report must be imported, as docs/settlements.md shows"

REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("payout.reconciled", "payout.reopened", "payout.failed", "settlement.exception"), _SETTLED),
    "webhook_endpoint.suspended": "an endpoint must have refused everything for minutes",
    "webhook_endpoint.disabled": "an endpoint must have answered 410, or been suspended for three days",
    "webhook_endpoint.lagging_out": "an endpoint must have lagged until a day before its events are dropped",
    "webhook_endpoint.lost": "an endpoint must have lagged until its events were dropped",
}
"""Why the other types are not made here."""
