"""What a customer's client does next to have a payment paid: one shape for all providers.

It lets whoever has it pay, so it goes to the payment's owner alone, while the payment is pending: no event, list,
page of the console or log has it. Which one it is says the provider's adapter, of the payment's token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from checkout_service.payments.status import PaymentStatus


class ActionType(StrEnum):
    """Kinds of what a client does next."""

    REDIRECT = "redirect"
    CLIENT_SECRET = "client_secret"  # noqa: S105 (the name of a kind)
    PROVIDER_ORDER = "provider_order"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the customer's browser to ``url``, a page of the provider's."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """Give ``value`` to the provider's own component, made with ``publishable_key``: None where none is set."""

    value: str = field(repr=False)
    publishable_key: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderOrder:
    """Give the provider's order ``id`` to its own component."""

    id: str = field(repr=False)


NextAction = Redirect | ClientSecret | ProviderOrder | None
"""None where there is nothing to do, or nothing that the adapter knows of."""


def next_action_of(
    providers: Mapping[str, object], *, provider: str, payment_token: str | None, status: PaymentStatus
) -> NextAction:
    """What the owner's client does next. ``providers`` are those that are on: with others nobody can pay.

    ``payment_token`` is None where the payment has no session.
    """
    if status is not PaymentStatus.PENDING:
        return None
    return way_to_pay(providers, provider=provider, payment_token=payment_token)


def way_to_pay(providers: Mapping[str, object], *, provider: str, payment_token: str | None) -> NextAction:
    """The same whatever the status is, for pages that look at it themselves."""
    if not payment_token:
        return None
    # An adapter of another distribution may have none.
    tell = getattr(providers.get(provider), "next_action", None)
    return None if tell is None else tell(payment_token)


def show_next_action(action: NextAction) -> dict[str, Any]:
    """The same as the API shows it."""
    match action:
        case Redirect(url):
            return {"type": ActionType.REDIRECT.value, "url": url}
        case ClientSecret(value, publishable_key):
            return {"type": ActionType.CLIENT_SECRET.value, "value": value, "publishable_key": publishable_key}
        case ProviderOrder(name):
            return {"type": ActionType.PROVIDER_ORDER.value, "id": name}
        case None:
            return {"type": ActionType.NONE.value}
