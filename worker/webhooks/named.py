"""The payment that a webhook names: a rejected one, of bytes that nobody vouches for, or a thin event.

Of a rejected one as far as anybody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.delivery_states import RejectedClass
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.registry import provider_specs
from checkout_service.providers.unverified_names import names_in
from worker.transitions.statements import FIND_NAMES, OWNERS

_OWN_ID: Final = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-f])"
)
"""Of a payment, as we give it to a provider: by itself, or in a reference, perhaps with a refund's behind it."""

# A name leads to a payment of the same provider alone: a flood at one provider's path is none of another's.
_FIND: Final = Statement(
    f"""
    SELECT given.provider, given.name, payment.id, payment.status NOT IN ('expired', 'canceled') AS open
    FROM unnest(CAST(:providers AS text[]), CAST(:names AS text[]), CAST(:ids AS uuid[]))
        AS given (provider, name, own_id)
    CROSS JOIN LATERAL (
        SELECT id FROM payments WHERE id = given.own_id
        UNION ALL
        {OWNERS}
    ) AS owner
    JOIN payments AS payment ON payment.id = owner.id AND payment.provider = given.provider
    """,  # noqa: S608 (only our own constants)
    binary=True,
    named=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The class of a rejected webhook, and the payment that it counts to; None of one that names nothing we know."""

    rejected_class: RejectedClass
    payment_id: UUID | None = None


UNKNOWN: Final = Named(rejected_class=RejectedClass.UNKNOWN)


def named_in(connection: Connection, webhooks: Sequence[RawWebhook]) -> list[Named]:
    """What each webhook names: the first open payment in it, else the first other one. One statement for the set."""
    formats = {name: spec.webhooks for name, spec in provider_specs().items()}
    names = [
        names_in(formats[webhook.provider], webhook.body, webhook.headers) if webhook.provider in formats else ()
        for webhook in webhooks
    ]
    given = sorted({(webhook.provider, name) for webhook, own in zip(webhooks, names, strict=True) for name in own})
    if not given:
        return [UNKNOWN] * len(webhooks)
    rows = _FIND.within(
        connection,
        {
            "providers": [provider for provider, _ in given],
            "names": [name for _, name in given],
            "ids": [_own_id(name) for _, name in given],
        },
    )
    owners: dict[tuple[str, str], Named] = {}
    for provider, name, payment_id, is_open in rows:
        found = Named(rejected_class=RejectedClass.OPEN if is_open else RejectedClass.KNOWN, payment_id=payment_id)
        owners[provider, name] = min(found, owners.get((provider, name), UNKNOWN), key=_class)
    return [
        min((owners.get((webhook.provider, name), UNKNOWN) for name in own), key=_class, default=UNKNOWN)
        for webhook, own in zip(webhooks, names, strict=True)
    ]


def owners(named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """By provider and name, the reference of the payment here that has this name, or an attempt, capture, refund or
    dispute of it; one statement. Raises DatabaseUnavailableError.
    """
    names = sorted(set(named))
    values = {"providers": [provider for provider, _ in names], "names": [name for _, name in names]}
    rows = execute(FIND_NAMES, values) if names else ()
    return {(provider, name): provider_ref for provider, name, _, provider_ref in rows}


def is_named_here(provider: str, name: str) -> bool:
    """Whether a payment here has this name at its provider, or one of its attempts, captures, refunds or disputes has.

    Raises DatabaseUnavailableError.
    """
    return bool(execute(FIND_NAMES, {"providers": [provider], "names": [name]}))


def _class(named: Named) -> RejectedClass:
    return named.rejected_class


def _own_id(name: str) -> UUID | None:
    found = _OWN_ID.search(name)
    return UUID(found[0]) if found else None
