"""Addresses of payments in the dashboards of their providers, for people; made of plain data, and never fetched."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from checkout_service.providers.spec import ProviderSpec
from checkout_service.settings.provider_accounts import Account

LONGEST_REFERENCE: Final = 255


class DashboardAddress(NamedTuple):
    """Where a payment is in a provider's dashboard, and whether it is one of its test mode."""

    address: str
    test: bool


def dashboard_of(
    spec: ProviderSpec | None, account: Account | None, *, payment_ref: str, attempt_refs: list[str]
) -> DashboardAddress | None:
    """Where this payment is found; None where the provider has no such address, or the account does not tell its mode.

    ``attempt_refs`` are the provider's names of its attempts and captures, the newest first. A reference that cannot
    stand in an address as it is, is escaped.
    """
    if spec is None or spec.dashboard is None or account is None:
        return None
    form = spec.dashboard
    if form.mode_option != "api_base" and account.option("api_base"):
        return None  # a stand-in, whose payments no dashboard has
    reference = payment_ref if form.of == "payment" else next(filter(None, attempt_refs), "")
    if not reference or len(reference) > LONGEST_REFERENCE or not reference.isprintable():
        return None
    mode = account.option(form.mode_option) or form.default
    if re.search(form.test_pattern, mode):
        return DashboardAddress(form.test.format(ref=quote(reference, safe="")), test=True)
    if re.search(form.live_pattern, mode):
        return DashboardAddress(form.live.format(ref=quote(reference, safe="")), test=False)
    return None
