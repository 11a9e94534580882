"""What can be done on the mock provider's page, and the webhooks that each action makes the provider send.

pay · decline · late · twice · disorder · wrong_amount · unverified · silent · cancel · reverse
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

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
    """A button: what it says, what it does, and what the provider knows of the payment afterwards."""

    name: str
    label: str
    explained: str
    group: str
    becomes: str | None = None
    lines: tuple[Line, ...] = ()


CUSTOMER: Final = "What customers do"
TROUBLE: Final = "What goes wrong on the way"
AFTERWARDS: Final = "What may follow"

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
)

BY_NAME: Final = {action.name: action for action in ACTIONS}


@dataclass(frozen=True, kw_only=True)
class OutgoingWebhook:
    """Bytes to be posted, so many seconds from now."""

    after: float
    body: bytes


def webhooks(
    action: Action, payment: dict[str, str], *, secret: str, late_after: float = LATE_AFTER
) -> Sequence[OutgoingWebhook]:
    """What the provider sends for the action, signed; the payment is as the bank holds it."""
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
        signed = sign(content, f"not {secret}" if line.unverified else secret)
        after = late_after if line.after == LATE_AFTER else line.after
        written.append(OutgoingWebhook(after=after, body=json.dumps(signed).encode()))
    return written
