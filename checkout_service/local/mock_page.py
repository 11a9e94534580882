"""The mock provider's own page, where a customer is sent to pay and from where they come back.

It is the provider's site and no part of the service: another process, another address, another look. It alone knows how
to sign, and whatever it does to the service goes by signed webhooks over HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from checkout_service.local.mock_actions import (
    ACTIONS,
    BY_NAME,
    LATE_AFTER,
    Action,
    OutgoingWebhook,
    details_of,
    signed,
    webhooks,
)
from checkout_service.local.mock_outbox import Outbox
from checkout_service.local.mock_state import AnswerError, Bank

FOLDER: Final = Path(__file__).parent / "provider_page"
WEBHOOK_PATH: Final = "/api/payments/webhook"
_HERE: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII)

_templates = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@dataclass(frozen=True, kw_only=True)
class Page:
    """An answer to a browser."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(kw_only=True)
class ProviderSite:
    """Shows the page of a payment, and does what is asked for there."""

    bank: Bank
    shop: str
    """Where webhooks are posted to."""
    secret: str
    late_after: float = LATE_AFTER
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.shop.rstrip("/") + WEBHOOK_PATH)

    def show(self, reference: str, query: str) -> Page:
        """The page with its buttons. Raises AnswerError."""
        payment = self._payment(reference)
        back = _way_back(parse_qs(query), payment)
        groups = [(group, list(actions)) for group, actions in groupby(ACTIONS, key=lambda action: action.group)]
        shown = _templates.get_template("page.html").render(
            payment=payment, groups=groups, back=back, late=f"{self.late_after:g}"
        )
        policy = (
            f"default-src 'none'; style-src 'self'; form-action 'self' {_origin(back)}; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Page(status=200, headers=headers, body=shown.encode())

    def act(self, reference: str, form: bytes) -> Page:
        """Do what was asked for, and send the customer back. Raises AnswerError."""
        payment = self._payment(reference)
        sent = parse_qs(form.decode())
        action = BY_NAME.get(sent.get("action", [""])[0])
        if action is None:
            raise AnswerError(400)
        back = _way_back(sent, payment)
        self.outbox.send(self.move(reference, action))
        return Page(status=303, headers={"Location": back, "Cache-Control": "no-store"})

    def move(self, reference: str, action: Action) -> Sequence[OutgoingWebhook]:
        """Do this with the payment; the webhooks that the provider sends of it. Raises AnswerError."""
        payment = self._payment(reference)
        if action.name == "pay" and payment.get("capture") == "manual":
            action = BY_NAME["authorize"]
        if action.becomes:
            self.bank.report(reference, action.becomes, details_of(action, payment))
        if action.moves is not None:
            return signed(self.bank.move(reference, action.moves), payment, secret=self.secret)
        return webhooks(action, payment, secret=self.secret, late_after=self.late_after)

    def _payment(self, reference: str) -> dict[str, Any]:
        found = self.bank.held(reference)
        if found is None or "amount" not in found:
            raise AnswerError(404)
        return found


def style() -> Page:
    """The page's one style sheet."""
    headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "no-cache"}
    return Page(status=200, headers=headers, body=(FOLDER / "page.css").read_bytes())


def _way_back(sent: Mapping[str, list[str]], payment: Mapping[str, Any]) -> str:
    """Where the customer came from, or what the payment was opened with; on this machine, as everything here.

    Where neither is named it is this very page. Raises AnswerError.
    """
    address = sent.get("return_to", [""])[0] or payment.get("return_url", "")
    here = f"/pay/{quote(payment['provider_ref'], safe='')}"
    if address in {"", here}:
        return here
    parts = urlsplit(address)
    # The whole of it: a browser reads a backslash as a slash, and what stands before an @ it does not show.
    if parts.scheme not in {"http", "https"} or not _HERE.fullmatch(parts.netloc) or not address.isprintable():
        raise AnswerError(400)
    return address


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
