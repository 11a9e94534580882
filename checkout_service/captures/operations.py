"""Takes requests to capture and to void by one INSERT, which the database itself holds within what is authorized.

The triggers capture_requests_admit and voids_admit (migrations/entries/requests.sql) lock the payment and judge. So
what was read before the INSERT may be out of date. It serves to answer a replay, to choose the authorisation, and to
say what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound, StillInProgress
from checkout_service.captures.problems import CaptureTooLarge, NotCapturable, NotVoidable, OneCaptureOnly
from checkout_service.captures.queries import (
    REQUEST,
    VOID,
    Authorization,
    Capturable,
    RequestRow,
    VoidRow,
    capturable,
    show_request,
    show_void,
    voidable,
)
from checkout_service.commands.auditing import audit_values, audited
from checkout_service.commands.models import Action
from checkout_service.commands.operations import Origin
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.money import decimals, show, show_with_currency
from checkout_service.payments.outcomes import WAITS_FOR_LOOK_UP
from checkout_service.payments.status import RequestStatus
from checkout_service.providers.registry import provider_specs
from checkout_service.settings.provider_accounts import Account
from checkout_service.telemetry import tracing

_REQUEST_ROW: Final = f"""
    INSERT INTO capture_requests AS request (payment_id, attempt_ref, amount, final, requested_by, idempotency_key,
        request_hash, trace_context)
    VALUES (:payment_id, :attempt_ref, :amount, :final, :requested_by, :idempotency_key, :request_hash,
        traced(:trace_context))
    RETURNING {REQUEST}
"""  # noqa: S608 (only our own constants)

_VOID_ROW: Final = f"""
    INSERT INTO voids AS void (payment_id, requested_by, idempotency_key, request_hash, trace_context)
    VALUES (:payment_id, :requested_by, :idempotency_key, :request_hash, traced(:trace_context))
    RETURNING {VOID}
"""  # noqa: S608 (only our own constants)

_insert_request: Final = Statement(_REQUEST_ROW, named=False)
_insert_void: Final = Statement(_VOID_ROW, named=False)
_insert_request_audited: Final = Statement(audited(_REQUEST_ROW, Action.CAPTURE, named="capture_request"), named=False)
_insert_void_audited: Final = Statement(audited(_VOID_ROW, Action.VOID, named="void"), named=False)

TRIES: Final = 3
"""What is open may change between reading and inserting: an event comes, or another request takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOrder:
    """The caller's request; without an amount, for all that is open.

    ``final`` says whether the rest is released: None for what the account can. ``authorization_id`` names the one of
    several open authorisations that is captured.
    """

    payment_id: UUID
    requested_by: UUID
    key: str
    amount: Decimal | None
    final: bool | None
    authorization_id: UUID | None

    @property
    def request_hash(self) -> bytes:
        return request_hash(
            {
                "payment_id": str(self.payment_id),
                "amount": None if self.amount is None else show(self.amount, None),
                "final": None if self.final is None else str(self.final),
                "authorization_id": None if self.authorization_id is None else str(self.authorization_id),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidOrder:
    """The caller's request to release what is authorized and was not captured."""

    payment_id: UUID
    requested_by: UUID
    key: str

    @property
    def request_hash(self) -> bytes:
        return request_hash({"payment_id": str(self.payment_id)})


class Given(NamedTuple):
    """The capture or void as it was requested, and whether that is the replay of an answer given before."""

    answer: dict[str, Any]
    replayed: bool


def captures_several(provider: str, accounts: Mapping[str, Account]) -> bool:
    """Whether an authorisation at this provider may be captured several times, by the provider or by our account."""
    spec = provider_specs().get(provider)
    account = accounts.get(provider)
    by_account = account is not None and account.option("multicapture") == "on"
    return by_account or (spec is not None and spec.several_captures)


def request_capture(order: CaptureOrder, accounts: Mapping[str, Account], *, origin: Origin | None = None) -> Given:
    """Store the request, or give the answer of its key again. Raises Problem.

    With an ``origin`` it is an operator's command, which is written into the audit by the same statement.
    """
    insert = _insert_request if origin is None else _insert_request_audited
    audit = {} if origin is None else audit_values(origin, order.payment_id)
    for _ in range(TRIES):
        found = capturable(payment_id=order.payment_id, requested_by=order.requested_by, key=order.key)
        if found is None:
            raise NotFound("There is no such payment.")
        if found.request is not None:
            _check_hash(found.request.request_hash, order.request_hash)
            return Given(_as_requested(show_request(found.request)), True)
        if found.waits:
            raise StillInProgress(WAITS_FOR_LOOK_UP)
        chosen = _chosen(found, order)
        final = _final(found, order, chosen, several=captures_several(found.provider, accounts))
        try:
            (row,) = execute(
                insert,
                {
                    **audit,
                    "payment_id": order.payment_id,
                    "attempt_ref": chosen.attempt_ref,
                    "amount": order.amount,
                    "final": final,
                    "requested_by": order.requested_by,
                    "idempotency_key": order.key,
                    "trace_context": tracing.context(),
                    "request_hash": order.request_hash,
                },
            )
        except Conflict:
            # A concurrent retry with this key was faster, or another request or an event took what was open.
            continue
        return Given(show_request(RequestRow._make(row)), False)
    raise StillInProgress("Other captures of this payment are being requested at this moment: send it again.")


def request_void(order: VoidOrder, *, origin: Origin | None = None) -> Given:
    """Store the request, or give the answer of its key again; see ``request_capture``. Raises Problem."""
    insert = _insert_void if origin is None else _insert_void_audited
    audit = {} if origin is None else audit_values(origin, order.payment_id)
    for _ in range(TRIES):
        found = voidable(payment_id=order.payment_id, requested_by=order.requested_by, key=order.key)
        if found is None:
            raise NotFound("There is no such payment.")
        if found.void is not None:
            _check_hash(found.void.request_hash, order.request_hash)
            return Given(_as_requested(show_void(found.void)), True)
        if not found.voidable:
            raise NotVoidable(payment_status=found.payment_status)
        try:
            (row,) = execute(
                insert,
                {
                    **audit,
                    "payment_id": order.payment_id,
                    "requested_by": order.requested_by,
                    "idempotency_key": order.key,
                    "trace_context": tracing.context(),
                    "request_hash": order.request_hash,
                },
            )
        except Conflict:
            continue
        return Given(show_void(VoidRow._make(row)), False)
    raise StillInProgress("Other requests about this payment are being taken at this moment: send it again.")


def _check_hash(known: bytes, given: bytes) -> None:
    if known != given:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request: use a new key for a new one.")


def _as_requested(shown: dict[str, Any]) -> dict[str, Any]:
    """The answer as it was first given. GET shows the status of today."""
    first = {
        "status": RequestStatus.REQUESTED.value,
        "decline": None,
        "provider_answer": None,
        "updated_at": shown["created_at"],
    }
    return shown | first | ({"capture_ref": None} if "capture_ref" in shown else {})


def _chosen(found: Capturable, order: CaptureOrder) -> Authorization:
    """The authorisation that is captured. Raises Problem where it has not what is asked for."""
    if order.amount is not None and order.amount != round(order.amount, decimals(found.currency)):
        raise Invalid(errors=[{"pointer": "/amount", "detail": f"{found.currency} has no such small unit."}])
    if found.voiding or not found.authorizations:
        raise NotCapturable(payment_status=found.payment_status)
    named = [each for each in found.authorizations if order.authorization_id in {None, each.id}]
    if len(named) != 1:
        detail = "Several authorizations are open: name one." if named else "This payment has no such open one."
        raise Invalid(errors=[{"pointer": "/authorization_id", "detail": detail}])
    (chosen,) = named
    if order.amount is not None and order.amount > chosen.most:
        raise CaptureTooLarge(
            f"Only {show_with_currency(chosen.most, found.currency)} of it is open to capture: ask for that or less.",
            amount_left=show(chosen.most, found.currency),
            currency=found.currency,
        )
    return chosen


def _final(found: Capturable, order: CaptureOrder, chosen: Authorization, *, several: bool) -> bool:
    """Whether the rest is released. Raises OneCaptureOnly where the account cannot leave it open."""
    rest = Decimal(0) if order.amount is None else max(chosen.room - order.amount, Decimal(0))
    if rest == 0:
        return True
    if several:
        return bool(order.final)
    if order.final is False:
        raise OneCaptureOnly(releases=show(rest, found.currency), currency=found.currency)
    return True
