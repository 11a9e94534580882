"""What GoCardless calls things: its ids, which may stand in an address, and our own in its metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import own_id

NAME: Final = "gocardless"

PAYMENT: Final = "PM"
BILLING_REQUEST: Final = "BRQ"
FLOW: Final = "BRF"
REFUND: Final = "RF"
EVENT: Final = "EV"
WEBHOOK: Final = "WB"

CURRENCIES: Final = frozenset({"AUD", "CAD", "DKK", "EUR", "GBP", "NZD", "SEK", "USD"})
"""Those of its schemes, all of two decimals ("Core endpoints", Payments, ``currency``)."""

_REST: Final = re.compile(r"[0-9A-Za-z]{1,61}")


def is_id(value: object, kind: str) -> bool:
    """Whether a value is an id that begins like this kind; what is none never gets into an address."""
    return isinstance(value, str) and value.startswith(kind) and _REST.fullmatch(value[len(kind) :]) is not None


def id_in(holder: Mapping[str, Any], name: str, kind: str) -> str:
    """The id of this kind under a name. Raises UnreadableError for anything else."""
    value = holder.get(name)
    if not isinstance(value, str) or not is_id(value, kind):
        raise UnreadableError(f"{name} is no id {kind}…")
    return value


def link_in(holder: Mapping[str, Any], name: str, kind: str) -> str | None:
    """The id of this kind among the links of something; None where there is no such link."""
    links = holder.get("links")
    if not isinstance(links, dict) or links.get(name) is None:
        return None
    return id_in(links, name, kind)


def metadata_of(holder: Mapping[str, Any], name: str = "metadata") -> dict[str, Any]:
    """The metadata of something; {} where there is none. Raises UnreadableError where it is no object."""
    found = holder.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UnreadableError(f"{name} is not an object")
    return found


def our_payment(metadata: Mapping[str, Any], deployment: str) -> UUID | None:
    """The payment of ours that metadata names; None where another shop, or nobody, wrote it.

    ``deployment`` is our name of ourselves at accounts that others use too.
    """
    return own_id(metadata.get("payment_id")) if is_ours(metadata, deployment) else None


def is_ours(metadata: Mapping[str, Any], deployment: str) -> bool:
    """Whether nothing in the metadata says that another shop wrote it."""
    return not deployment or metadata.get("deployment") == deployment
