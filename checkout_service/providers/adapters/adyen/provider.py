"""Adyen: a payment is a payment link (Checkout API v72), and its webhooks name it by our own reference.

Only webhooks prove that money came: a link that is ``completed`` was used, and what came of it is not said there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlsplit
from uuid import UUID

from checkout_service.payments.next_action import NextAction
from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.adyen.events import PENDING_LASTS, Capturing
from checkout_service.providers.adapters.adyen.items import NAME, UNITS
from checkout_service.providers.adapters.adyen.modes import is_live
from checkout_service.providers.adapters.adyen.orders import whole_order
from checkout_service.providers.adapters.adyen.webhooks import Ours, parse_webhook
from checkout_service.providers.base import (
    Decline,
    Opened,
    Opening,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    Reference,
    UnreadableError,
)
from checkout_service.providers.buyers import open_whole_or_plain
from checkout_service.providers.entries import AttemptEntry, CaptureEntry, ClosedEntry, Entry
from checkout_service.providers.fields import amount_from_minor, currency_of, minor_units, nested, redirect_to, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.redaction import kept
from checkout_service.providers.transport import Transport, bounded
from checkout_service.settings.provider_accounts import Account

API_BASE: Final = "https://checkout-test.adyen.com/v72"
"""Live addresses begin with a prefix of the merchant's own, so there is none to assume."""

IN_PROGRESS: Final = "704"
"""Another call with the same idempotency key is not done (Adyen, "API idempotency")."""

_UNDER_WAY: Final = {"paymentPending": PENDING_LASTS, "completed": timedelta(days=1), "paid": timedelta(days=1)}
"""Statuses of a link by which a payment is under way, and for how long that counts: they tell neither its name nor
whether it was captured, so the end is for the webhooks to report. An ``active`` link is open.
"""

_NAMES: Final = "id status reference amount value currency merchantAccount expiresAt pspReference paymentPspReference"
_KEPT: Final = frozenset(_NAMES.split())

_DECLINES: Final = {"security": Decline.CREDENTIALS, "configuration": Decline.CREDENTIALS}


class AdyenProvider:
    """Adyen; its options are ``api_key``, ``merchant_account``, ``api_base``, ``return_url``, ``capture`` and
    ``multicapture``.
    """

    name = NAME
    asks = True

    def __init__(self, account: Account) -> None:
        base = account.option("api_base") or API_BASE
        self._account = account.option("merchant_account") or ""
        self._ours = Ours(self._account, is_live(base))
        self._return_url = account.option("return_url")
        self._capturing = Capturing(
            manual=account.option("capture") == "manual", several=account.option("multicapture") == "on"
        )
        self._keys = [_key(secret.reveal()) for secret in account.secrets]
        headers = {"X-API-Key": account.option("api_key") or ""}
        self._api = Transport(base, headers=headers, explain=_explain)

    def open(self, opening: Opening) -> Opened:
        """A link that can be paid once; what the client opens is its address, which also tells its id."""
        order: dict[str, Any] = {
            "merchantAccount": self._account,
            "reference": provider_ref(opening.payment_id),
            "amount": {"value": minor_units(opening.amount, opening.currency, UNITS), "currency": opening.currency},
            "reusable": False,
            "metadata": {"payment_id": str(opening.payment_id)},
        }
        if self._capturing.manual:
            order["manualCapture"] = True
        # A link has no other address for who does not pay.
        if return_url := opening.return_url or self._return_url:
            order["returnUrl"] = return_url
        link = open_whole_or_plain(
            lambda body, key: self._api.call("POST", "/paymentLinks", json=body, idempotency_key=key),
            whole=whole_order(order, opening),
            plain=order,
            payment_id=opening.payment_id,
        )
        held = nested(link, "amount")
        taken = currency_of(held.get("currency"))
        return Opened(
            provider_ref=provider_ref(opening.payment_id),
            payment_token=_token(link),
            amount=amount_from_minor(held.get("value"), taken, UNITS),
            currency=taken,
        )

    def next_action(self, payment_token: str) -> NextAction:
        return redirect_to(payment_token)

    def verify_and_parse(self, raw_webhook: RawWebhook) -> ParsedWebhook:
        return parse_webhook(raw_webhook, self._keys, ours=self._ours, capturing=self._capturing)

    def look_up(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """What the link says. It names no attempt, so it cannot say that none is under way."""
        link = self._api.call("GET", f"/paymentLinks/{_link_id(reference)}")
        return _looked_up(link, reference, PaymentStatus.EXPIRED)

    def cancel(self, reference: Reference) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Expire the link; where it is past that, say what it is."""
        path = f"/paymentLinks/{_link_id(reference)}"
        # Without a key: the first answer would come again, though a link moves on.
        with bounded():
            try:
                link = self._api.call("PATCH", path, json={"status": "expired"})
            except ProviderRefusedError as error:
                if error.reason is Decline.CREDENTIALS:
                    raise
                return self.look_up(reference)
        return _looked_up(link, reference, PaymentStatus.CANCELED)

    def refund(
        self, reference: Reference, *, refund_id: UUID, amount: Decimal, reason: str | None
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Ask for a refund of an authorisation; a webhook tells what becomes of it.

        Until a webhook named the authorisation, ProviderUnavailableError: the refund waits. Adyen takes no free words
        for a reason.
        """
        attempt_ref = _attempt_ref(reference)
        made = self._modify(attempt_ref, "refunds", reference, refund_id, amount)
        refund_ref = text(made, "pspReference")
        return [
            ProviderRefundEvent(
                provider=NAME,
                provider_ref=reference.provider_ref,
                refund_ref=refund_ref,
                event_id=f"refund:{refund_ref}:received",
                status=RefundStatus.PROCESSING,
                amount=amount,
                currency=reference.currency,
                refund_id=refund_id,
                payment_id=reference.payment_id,
                attempt_ref=attempt_ref,
                raw=kept(made, _KEPT),
            )
        ]

    def capture(
        self, reference: Reference, *, request_id: UUID, amount: Decimal, final: bool
    ) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Ask for a capture; a webhook tells what becomes of it.

        Adyen releases the rest of a partial capture, or keeps it where the account has several captures: that cannot be
        chosen for one capture. So one that is not ``final`` is refused at an account that has not, before any call; one
        that is releases nothing at an account that has, until the rest is voided or expires.
        """
        if not final and not self._capturing.several:
            raise ProviderRefusedError("this account captures once", reason=Decline.NOT_IN_THIS_STATE)
        attempt_ref = _attempt_ref(reference)
        made = self._modify(attempt_ref, "captures", reference, request_id, amount)
        capture_ref = text(made, "pspReference")
        entry = CaptureEntry(
            ref=capture_ref,
            status=CaptureStatus.PENDING,
            amount=amount,
            currency=reference.currency,
            attempt_ref=attempt_ref,
            request_id=str(request_id),
        )
        return [_answer(reference, made, f"capture:{capture_ref}:received", None, [entry])]

    def void(self, reference: Reference, *, void_id: UUID) -> Sequence[ProviderEvent | ProviderRefundEvent]:
        """Ask for the end of an authorisation. Nothing is proven by that: a webhook tells what becomes of it."""
        made = self._modify(_attempt_ref(reference), "cancels", reference, void_id, None)
        text(made, "pspReference")
        return []

    def _modify(
        self, attempt_ref: str, what: str, reference: Reference, request_id: UUID, amount: Decimal | None
    ) -> dict[str, Any]:
        """Ask for something to be done to an authorisation. Its reference names the payment and the request."""
        order: dict[str, Any] = {
            "merchantAccount": self._account,
            "reference": f"{reference.provider_ref}_{request_id.hex}",
        }
        if amount is not None:
            value = minor_units(amount, reference.currency, UNITS)
            order["amount"] = {"value": value, "currency": reference.currency}
        path = f"/payments/{quote(attempt_ref, safe='')}/{what}"
        return self._api.call("POST", path, json=order, idempotency_key=str(request_id))


def provider_ref(payment_id: UUID) -> str:
    """What every webhook about the payment carries as merchantReference, which holds up to 80 characters."""
    return f"{NAME}_{payment_id.hex}"


def _key(secret: str) -> bytes:
    """The key that a secret spells in hexadecimal; empty, which matches nothing, where it spells none."""
    try:
        return bytes.fromhex(secret)
    except ValueError:
        return b""


def _explain(status: int, error: dict[str, Any]) -> Decline | None:
    """Which refusal an error of Adyen's is (Adyen, "API response handling")."""
    if error.get("errorCode") == IN_PROGRESS:
        raise ProviderUnavailableError("another call with this key is at work", in_progress=True)
    return _DECLINES.get(str(error.get("errorType")))


def _token(link: dict[str, Any]) -> str:
    """The link's address; its id is the last step of it, or else is put behind a #, which no browser sends."""
    link_id, url = text(link, "id"), text(link, "url")
    if urlsplit(url).scheme != "https":
        raise UnreadableError("the link's address is not https")
    return url if url.endswith(f"/{link_id}") else f"{url}#{link_id}"


def _link_id(reference: Reference) -> str:
    token = reference.payment_token or ""
    link_id = (urlsplit(token).fragment or token.rpartition("/")[2]).strip()
    if not link_id:
        raise ProviderRefusedError("the payment link is not known", reason=Decline.UNKNOWN_REFERENCE)
    return quote(link_id, safe="")


def _attempt_ref(reference: Reference) -> str:
    """The authorisation, of which everything is asked: a capture's own name is none to ask of."""
    if not reference.attempt_ref:
        raise ProviderUnavailableError("its authorisation is not known yet")
    return reference.attempt_ref


def _looked_up(link: dict[str, Any], reference: Reference, ended: PaymentStatus) -> list[ProviderEvent]:
    """What a link proves; ``ended`` is what one that expired became."""
    if text(link, "reference") != reference.provider_ref:
        raise UnreadableError("the answer is about another payment")
    status = text(link, "status")
    if status == "expired":
        return [_answer(reference, link, _seen(reference, ended), ended, [ClosedEntry(status=ended)])]
    lasts = _UNDER_WAY.get(status)
    if lasts is None:
        return []
    now = datetime.now(UTC)
    entry = AttemptEntry(status=AttemptStatus.UNDER_WAY, at=now, times_out_at=now + lasts)
    under_way = PaymentStatus.PROCESSING
    return [_answer(reference, link, _seen(reference, under_way), under_way, [entry])]


def _seen(reference: Reference, status: PaymentStatus) -> str:
    """It names what was seen, so that seeing it again is no news."""
    return f"lookup:{reference.provider_ref}:{status.value}:"


def _answer(
    reference: Reference,
    answer: dict[str, Any],
    event_id: str,
    status: PaymentStatus | None,
    entries: Sequence[Entry],
) -> ProviderEvent:
    return ProviderEvent(
        provider=NAME,
        provider_ref=reference.provider_ref,
        event_id=event_id,
        status=status,
        payment_id=reference.payment_id,
        entries=entries,
        raw=kept(answer, _KEPT),
    )
