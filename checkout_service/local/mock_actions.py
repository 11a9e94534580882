"""What can be done on the mock provider's page, and the webhooks that each action makes the provider send.

pay · decline · late · twice · disorder · wrong_amount · unverified · silent · cancel · reverse, and those of mock_money
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from checkout_service.local import mock_money
from checkout_service.local.mock_money import Moves, Report
from checkout_service.money import show
from checkout_service.providers.adapters.mock.provider import sign

LATE_AFTER: Final = 20.0
"""Seconds that a late payment takes."""

TOO_MUCH: Final = Decimal("1.00")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One webhook of an action: when it goes out, and what it says."""

    status: str
    after: float = 0.0
    happened: float = 0.0
    """Seconds before the action."""
    same_event: bool = False
    wrong_amount: bool = False
    unverified: bool = False


@dataclass(frozen=True, kw_only=True)
class Action:
    """A button: what it says, what it does, and what the provider knows of the payment afterwards.

    ``lines`` are its webhooks, or ``moves`` changes the payment and tells which they are. What came is gone only by a
    refund or by ``reversed``: no other status that it becomes later takes it away.
    """

    name: str
    label: str
    explained: str
    group: str
    becomes: str | None = None
    lines: tuple[Line, ...] = ()
    moves: Moves | None = None


CUSTOMER: Final = "What customers do"
TROUBLE: Final = "What goes wrong on the way"
AFTERWARDS: Final = "What may follow"
HELD_BACK: Final = "Money that is held back"

ACTIONS: Final = (
    Action(
        name="pay",
        label="Pay",
        explained="One signed webhook says paid.",
        group=CUSTOMER,
        becomes="paid",
        lines=(Line(status="paid"),),
    ),
    Action(
        name="decline",
        label="Decline",
        explained="The card is declined: one webhook says failed.",
        group=CUSTOMER,
        becomes="failed",
        lines=(Line(status="failed"),),
    ),
    Action(
        name="late",
        label="Pay late",
        explained="First processing, and paid {late} seconds later.",
        group=CUSTOMER,
        becomes="paid",
        lines=(Line(status="processing"), Line(status="paid", after=LATE_AFTER)),
    ),
    Action(
        name="cancel",
        label="Cancel",
        explained="The customer changes their mind: canceled.",
        group=CUSTOMER,
        becomes="canceled",
        lines=(Line(status="canceled"),),
    ),
    Action(
        name="twice",
        label="Send it twice",
        explained="Paid, and the very same webhook once more.",
        group=TROUBLE,
        becomes="paid",
        lines=(Line(status="paid"), Line(status="paid", after=0.4, same_event=True)),
    ),
    Action(
        name="disorder",
        label="Send it out of order",
        explained="Paid comes first; processing and failed, which happened before it, come after.",
        group=TROUBLE,
        becomes="paid",
        lines=(
            Line(status="paid"),
            Line(status="processing", after=0.4, happened=3.0),
            Line(status="failed", after=0.8, happened=2.0),
        ),
    ),
    Action(
        name="wrong_amount",
        label="Wrong amount",
        explained="Paid, but 1.00 more than was asked for.",
        group=TROUBLE,
        becomes="paid",
        lines=(Line(status="paid", wrong_amount=True),),
    ),
    Action(
        name="unverified",
        label="Wrong signature",
        explained="Somebody who does not know the secret says paid.",
        group=TROUBLE,
        lines=(Line(status="paid", unverified=True),),
    ),
    Action(
        name="silent",
        label="Never answer",
        explained="The money is taken, but no webhook is sent. The service asks by itself after ten minutes.",
        group=TROUBLE,
        becomes="paid",
    ),
    Action(
        name="reverse",
        label="Take the money back",
        explained="A chargeback that was lost: reversed.",
        group=AFTERWARDS,
        becomes="reversed",
        lines=(Line(status="reversed"),),
    ),
    Action(
        name="charge_twice",
        label="Charge twice",
        explained="Paid in two tabs: two charges, each with a name and all of the money.",
        group=AFTERWARDS,
        moves=mock_money.charge_twice,
    ),
    Action(
        name="refund",
        label="Refund half",
        explained="Somebody gives half of it back in the provider’s dashboard.",
        group=AFTERWARDS,
        moves=mock_money.refund_half,
    ),
    Action(
        name="dispute",
        label="Open a dispute",
        explained="A chargeback over half of it, which waits for evidence. The money is still here.",
        group=AFTERWARDS,
        moves=mock_money.open_dispute,
    ),
    Action(
        name="dispute_lost",
        label="Lose the dispute",
        explained="The bank decides for the customer, and half of it is gone.",
        group=AFTERWARDS,
        moves=mock_money.lose_dispute,
    ),
    Action(
        name="dispute_won",
        label="Win the dispute",
        explained="The bank decides for the shop. What it took before comes back.",
        group=AFTERWARDS,
        moves=mock_money.win_dispute,
    ),
    Action(
        name="authorize",
        label="Hold it back",
        explained="Authorized for seven days: promised, and not captured.",
        group=HELD_BACK,
        moves=mock_money.authorize,
    ),
    Action(
        name="capture",
        label="Capture it",
        explained="What is held back is captured: paid.",
        group=HELD_BACK,
        moves=mock_money.capture_all,
    ),
    Action(
        name="capture_half",
        label="Capture half",
        explained="Half of what is held back is captured, and the rest is released.",
        group=HELD_BACK,
        moves=mock_money.capture_half,
    ),
    Action(
        name="release",
        label="Release it",
        explained="What is held back is given up: void.",
        group=HELD_BACK,
        moves=mock_money.release,
    ),
)

BY_NAME: Final = {action.name: action for action in ACTIONS}


@dataclass(frozen=True, kw_only=True)
class OutgoingWebhook:
    """Bytes to be posted, so many seconds from now."""

    after: float
    body: bytes


def signed(
    reports: Sequence[Report], payment: dict[str, Any], *, secret: str, **changes: str
) -> Sequence[OutgoingWebhook]:
    """Webhooks with these reports, in their order; ``changes`` are details in place of theirs."""
    written = []
    for number, report in enumerate(reports):
        common = {"event_id": f"evt_{uuid4().hex}", "amount": payment["amount"], "currency": payment["currency"]}
        common["occurred_at"] = (datetime.now(UTC) + timedelta(milliseconds=number)).isoformat(timespec="milliseconds")
        details = common | report.details | changes
        content = {"provider_ref": payment["provider_ref"], "status": report.status, "raw_data": details}
        written.append(OutgoingWebhook(after=0.0, body=json.dumps(sign(content, secret)).encode()))
    return written


def details_of(action: Action, payment: dict[str, Any]) -> dict[str, str]:
    """What the bank must know beside the status that the action makes of the payment: how much came, if other."""
    if not any(line.wrong_amount for line in action.lines):
        return {}
    return {"amount": show(Decimal(payment["amount"]) + TOO_MUCH, payment["currency"])}


def webhooks(
    action: Action, payment: dict[str, Any], *, secret: str, late_after: float = LATE_AFTER
) -> Sequence[OutgoingWebhook]:
    """What the provider sends for the action, signed; the payment is as the bank holds it, and is not changed."""
    if action.moves is not None:
        return signed(action.moves(deepcopy(payment)), payment, secret=secret)
    now = datetime.now(UTC)
    event_id = ""
    written = []
    for line in action.lines:
        event_id = event_id if line.same_event else f"evt_{uuid4().hex}"
        amount = Decimal(payment["amount"]) + (TOO_MUCH if line.wrong_amount else 0)
        happened = now - timedelta(seconds=line.happened)
        details = {
            "event_id": event_id,
            "amount": show(amount, payment["currency"]),
            "currency": payment["currency"],
            "occurred_at": happened.isoformat(timespec="milliseconds"),
        }
        content: dict[str, Any] = {"provider_ref": payment["provider_ref"], "status": line.status, "raw_data": details}
        webhook = sign(content, f"not {secret}" if line.unverified else secret)
        after = late_after if line.after == LATE_AFTER else line.after
        written.append(OutgoingWebhook(after=after, body=json.dumps(webhook).encode()))
    return written
