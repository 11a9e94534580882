"""Options of the fetch of Adyen's reports, read once: plain values, which the spec judges and the fetch uses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

_ACCOUNT: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}"

ACCOUNTS: Final = rf" *{_ACCOUNT}(?: *, *{_ACCOUNT})* *"
"""Merchant accounts, a comma list."""

FIRST_BATCHES: Final = rf"[1-9][0-9]{{0,8}}|{_ACCOUNT}:[1-9][0-9]{{0,8}}(?: *, *{_ACCOUNT}:[1-9][0-9]{{0,8}})*"
"""The number of a batch; of several merchant accounts each with its name: ``ShopECOM:41, ShopPOS:12``."""

HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Where plain HTTP is no risk."""


def not_an_origin(value: str) -> str | None:
    """What is wrong with the origin of reports, as the rest of a sentence; None if nothing is.

    It is https and a host, with a port perhaps. http is for this machine alone.
    """
    words = "is not the address of a server alone, such as https://reports.example.com"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return words
    if not parts.hostname or "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment:
        return words
    if not value.isascii() or not value.isprintable() or "\\" in value or " " in value or port == 0:
        return words
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE):
        return None
    return "is not https: a key and a report would be sent in clear text"


def merchant_accounts(value: str) -> list[str]:
    """The names of a comma list, each once."""
    return list(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def first_batches(value: str, accounts: Sequence[str]) -> dict[str, int]:
    """From which batch on each merchant account is fetched, where a setting says so. What is of another form is not."""
    if value.isdigit():
        return {account: int(value) for account in accounts}
    pairs = (each.strip().rpartition(":") for each in value.split(",") if each.strip())
    return {account: int(number) for account, _, number in pairs if re.fullmatch("[0-9]+", number)}


def misfit(options: Mapping[str, str]) -> tuple[str, str] | None:
    """Which option does not go with the others, and why."""
    key, user, password = (options.get(name, "") for name in ("reports_key", "reports_user", "reports_password"))
    if bool(user) != bool(password):
        return ("reports_password", "is missing") if user else ("reports_user", "is missing")
    if not key and not user:
        return "reports_key", "is missing, and so is a user with a password: one of the two is needed"
    if key and user:
        return "reports_key", "is set beside a user with a password: only one of the two is used"
    accounts = merchant_accounts(options.get("reports_accounts", ""))
    first = options.get("reports_first_batch", "")
    if first.isdigit() and len(accounts) > 1:
        return "reports_first_batch", "is one number, of several merchant accounts: write each as ACCOUNT:NUMBER"
    others = sorted(set(first_batches(first, accounts)) - set(accounts)) if first else []
    if others:
        return "reports_first_batch", f"names {others[0]}, which is not among the merchant accounts"
    return None
