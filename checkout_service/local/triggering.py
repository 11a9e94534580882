"""Makes real events: buys over HTTP as a customer, reports as the mock provider, asks as staff, and waits for the log.

Nothing is written to the log by hand. What an event tells has happened, to a payment that can be looked at afterwards.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx

from checkout_service.catalog.filters import ListingFilters
from checkout_service.catalog.searching import find_listings
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import DeliveryState
from checkout_service.events.queries import EventRow, events_page
from checkout_service.local.mock_actions import signed
from checkout_service.local.mock_money import Moves, Report
from checkout_service.local.purchase import customer_token
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName

COMES_WITHIN: Final = 30.0
"""Seconds for an event that follows from what was done."""

DUE_WITHIN: Final = 90.0
"""Seconds for one that housekeeping writes, which looks once a minute."""

LOOK_EVERY: Final = 0.05

QUANTITY: Final = 2
STAFF: Final = "captures orders:write refunds"

FEW: Final = 100
"""Pieces of a listing that may all be taken for a moment."""

_pending = Statement("""
    SELECT count(*) FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[])) AND state = ANY(:states)
""")
_known_as_low = Statement("SELECT DISTINCT object_id FROM event_dues WHERE type IN ('stock.low', 'stock.sold_out')")
_of_lane = Statement("SELECT count(*) FROM events WHERE lane = :lane AND type = :type")


class TriggerError(Exception):
    """A step was answered otherwise than it should be, or an event did not come; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How the provider's webhooks come: each ``twice``, the money ``late``, in another order."""

    twice: bool = False
    late: bool = False
    reordered: bool = False


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Where the service is, and the secrets that the customer, staff and the provider need."""

    base_url: str
    token_settings: Mapping[str, str]
    provider_secret: str
    provider_server: str | None
    low: int
    """Pieces of which one more is not low; STOCK_LOW is the worker's own setting."""


Show = Callable[[str, str, float], None]
"""Called after each step: what was done, what came of it, and how many seconds it took."""


@dataclass(kw_only=True)
class Opened:
    """A session that was opened: its payment as the provider holds it, and the customer's client."""

    payment_id: UUID
    payment: dict[str, Any]
    listing_id: UUID


class Scene:
    """One trigger: what is done in it, and the events that came of it. Needs an application context."""

    def __init__(self, deployment: Deployment, way: Way, show: Show) -> None:
        self._deployment = deployment
        self._way = way
        self._show = show
        self._user_id = uuid4()
        self._http = httpx.Client(base_url=deployment.base_url, timeout=15.0, trust_env=False)
        self._receipts: list[str] = []
        self._is_late = False
        self.after = events_page(None, limit=1).newest_seq
        self.others = list[str]()
        """Orders beside the one that the event is about."""
        self.opened: Opened | None = None
        self.lane: UUID | None = None
        """Where the event is to come: the payment's lane, unless a step says otherwise."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    # As a customer.

    def open(self, *, all_pieces: bool = False) -> Opened:
        """Open a session for two pieces of what there is most of, or for all of what there is little of."""
        listing_id, title, quantity = self._few() if all_pieces else self._many()
        user_id = uuid4()
        self._call(
            "POST", "/api/cart/items", {"listing": str(listing_id), "qty": quantity}, user_id, f"{quantity} × {title}"
        )
        cart = self._call("GET", "/api/cart", None, user_id, None)
        session = self._call(
            "POST",
            "/api/checkout/session",
            {"cart_id": cart["id"]},
            user_id,
            lambda made: f"payment {made['payment_id']}",
        )
        payment = {"provider_ref": session["payment_token"], "status": "pending"}
        payment |= {"amount": session["amount"], "currency": session["currency"]}
        self.opened = Opened(payment_id=UUID(session["payment_id"]), payment=payment, listing_id=listing_id)
        self.lane = self.opened.payment_id
        return self.opened

    def _many(self) -> tuple[UUID, str, int]:
        found = find_listings(ListingFilters(), limit=FEW, cursor=None).listings
        best = max(found, key=lambda each: float("inf") if each.available is None else each.available, default=None)
        if best is None or (best.available is not None and best.available < QUANTITY):
            raise TriggerError("There is nothing on sale to buy two pieces of: `checkout stock add LISTING N`.")
        return best.id, best.title, QUANTITY

    def _few(self) -> tuple[UUID, str, int]:
        """A listing whose pieces may all be taken. One that was low a moment ago is so again only once housekeeping has
        seen that its pieces are back: that is waited for, where there is no other."""
        started = time.perf_counter()
        called = False
        while True:
            found = [
                each
                for each in find_listings(ListingFilters(), limit=FEW, cursor=None).listings
                if each.available is not None
            ]
            fit = [each for each in found if self._deployment.low < (each.available or 0) <= FEW]
            known = {row.object_id for row in execute(_known_as_low, {})}
            best = min(
                (each for each in fit if each.id not in known), key=lambda each: each.available or 0, default=None
            )
            if best is not None and best.available is not None:
                return best.id, best.title, best.available
            if known.isdisjoint(each.id for each in found) or _since(started) > DUE_WITHIN:
                least = self._deployment.low + 1
                raise TriggerError(
                    f"There is no listing with {least} to {FEW} pieces, to take them all for a moment: "
                    f"`checkout stock set LISTING {least}`."
                )
            if fit and not called:
                called = True
                self.call_housekeeping()
            time.sleep(LOOK_EVERY)

    # As the provider.

    def pay(self, opened: Opened | None = None, **details: Any) -> None:
        """The money comes; with ``--late`` the payment has expired before."""
        self.come_late()
        self.tell(Report(status="paid", details=details), opened=opened)

    def come_late(self) -> None:
        """With ``--late``: let the payment expire before its money comes."""
        if self._way.late and not self._is_late:
            self._is_late = True
            self._post([Report(status="expired")], self.current)
            self.wait_for("payment.expired")

    def move(self, moves: Moves) -> None:
        """Do with the money what a button of the mock provider's page does."""
        self.tell(*moves(self.current.payment))

    def tell(self, *reports: Report, opened: Opened | None = None) -> None:
        """Let the provider know it, and post its webhooks, in the way that was asked for."""
        about = opened or self.current
        for report in reports:
            if (
                report.status in {"paid", "expired", "canceled", "processing", "failed", "reversed"}
                and not report.details
            ):
                about.payment["status"] = report.status
        if self._way.reordered:
            self._post([Report(status="processing"), *reports], about, backwards=True)
        else:
            self._post(reports, about)

    def _post(self, reports: Sequence[Report], about: Opened, *, backwards: bool = False) -> None:
        base = self._deployment.provider_server
        if base:
            address = f"{base}/_payments/{quote(about.payment['provider_ref'], safe='')}"
            try:
                httpx.put(address, json=about.payment, timeout=5.0, trust_env=False).raise_for_status()
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise TriggerError(f"The mock provider's server does not answer at {base}: {error}") from error
        webhooks = list(
            zip(reports, signed(reports, about.payment, secret=self._deployment.provider_secret), strict=True)
        )
        for report, webhook in reversed(webhooks) if backwards else webhooks:
            for number in range(1 + self._way.twice):
                started = time.perf_counter()
                answer = self._send(webhook.body)
                again = ", once more" if number else ""
                self._show("POST /api/payments/webhook", f"{report.status}{_about(report)}{again}", _since(started))
                self._receipts.append(answer["delivery_id"])

    def _send(self, body: bytes) -> Any:
        return _answered(
            self._http.post("/api/payments/webhook", content=body, headers={"Content-Type": "application/json"}),
            "POST /api/payments/webhook",
        )

    # As staff, and as housekeeping.

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask for something as staff may; ``path`` is below /api."""
        return self._call(
            "POST", f"/api{path}", body, self._user_id, lambda made: str(made.get("status", "done")), STAFF
        )

    def order(self) -> Any:
        """The order of the payment, which has one."""
        order = self._call("GET", f"/api/payments/{self.current.payment_id}", None, self._user_id, None, STAFF)["order"]
        if order is None:
            raise TriggerError("The payment has no order.")
        return self._call("GET", f"/api/admin/orders/{order['id']}", None, self._user_id, None, STAFF)

    def call_housekeeping(self) -> None:
        """Have housekeeping look at once for what depends on a date or a count; else it does within the minute."""
        try:
            task_queue().enqueue(TaskName.WRITE_DUE_EVENTS)
        except QueueUnavailableError:
            return
        self._show("events.due", "housekeeping looks now", 0.0)

    # The log.

    @property
    def current(self) -> Opened:
        """The session that was opened last."""
        if self.opened is None:
            raise TriggerError("No session was opened.")
        return self.opened

    def wait_for(self, event_type: str, *, within: float = COMES_WITHIN) -> list[EventRow]:
        """The events of this type that came in the lane, once there is one."""
        started = time.perf_counter()
        while True:
            after, rows = self.after, []
            while True:
                page = events_page(after, types=[event_type], limit=1000)
                rows += [event for event in page.events if event.lane == self.lane]
                if page.last_seq >= page.newest_seq:
                    break
                after = page.last_seq
            if rows:
                self._show("event", f"{event_type}, number {rows[0].seq}", _since(started))
                return rows
            if _since(started) > within:
                raise TriggerError(f"{event_type} did not come within {within:.0f} s: see the workers' logs.")
            time.sleep(LOOK_EVERY)

    def count(self, event_type: str) -> int:
        """How many events of this type the lane has once every webhook was processed."""
        started = time.perf_counter()
        states = [DeliveryState.RECEIVED.value, DeliveryState.PARKED.value]
        while execute(_pending, {"ids": self._receipts, "states": states})[0].count:
            if _since(started) > COMES_WITHIN:
                raise TriggerError("The webhooks were not processed in time: see the workers' logs.")
            time.sleep(LOOK_EVERY)
        return int(execute(_of_lane, {"lane": self.lane, "type": event_type})[0].count)

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        user_id: UUID,
        describe: str | Callable[[Any], str] | None,
        scope: str | None = None,
    ) -> Any:
        token = customer_token(user_id, self._deployment.token_settings, scope=scope)
        headers = {"Authorization": f"Bearer {token}"}
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid4())
        content = None
        if body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        started = time.perf_counter()
        answer = self._http.request(method, path, content=content, headers=headers)
        value = _answered(answer, f"{method} {path}")
        if describe is not None:
            shown = describe if isinstance(describe, str) else describe(value)
            self._show(f"{method} {_short(path)}", f"{answer.status_code}  {shown}", _since(started))
        return value


def _answered(answer: httpx.Response, what: str) -> Any:
    if not answer.is_success:
        raise TriggerError(f"{what} answered {answer.status_code}: {answer.text}")
    return answer.json()


def _since(started: float) -> float:
    return time.perf_counter() - started


def _short(path: str) -> str:
    """The path, with … for ids."""
    return "/".join("…" if len(part) == len(str(UUID(int=0))) else part for part in path.split("/"))


def _about(report: Report) -> str:
    named = [
        name.removesuffix("_ref") for name in ("capture_ref", "dispute_ref", "refund_ref") if name in report.details
    ]
    return f" of a {named[0]}" if named else ""
