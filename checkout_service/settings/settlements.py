"""What ``checkout settlements`` needs: its own way to the database, and the accounts whose reports it fetches.

Keys for reports are this command's alone: their names begin with the provider and REPORTS, such as STRIPE_REPORTS_KEY,
and no process that stays gets one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from checkout_service.settings.errors import SettingsError
from checkout_service.settings.option_checks import checks_of
from checkout_service.settings.provider_accounts import Account, AccountForm
from checkout_service.settings.reader import Reader
from checkout_service.settings.secret import Secret

MISSING_AFTER: Final = 14
"""Days."""

MOST_DAYS: Final = 366

ZONE: Final = "UTC"

_PART: Final = "_REPORTS_"


@dataclass(frozen=True, kw_only=True)
class SettlementsSettings:
    """The way to the database, what days are counted in, and the accounts whose reports are fetched, by provider."""

    database_url: Secret
    database_pooler: str = "none"
    timezone: str = ZONE
    """By its IANA name: the days and months of what is shown."""
    missing_after: timedelta = timedelta(days=MISSING_AFTER)
    """How long money may have been paid until its provider has to list it; whole days."""
    accounts: Mapping[str, Account] = field(default_factory=dict)
    report_faults: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of each provider whose account is not among these, since it cannot be used: what is wrong with its settings."""

    @classmethod
    def from_environment(cls, reports: Mapping[str, AccountForm] | None = None) -> Self:
        """Read once, at start; ``reports`` are the settings of the reports of each provider, by who needs them.

        A provider of which nothing is set is left out. One whose settings are wrong keeps no other from being used:
        its faults are ``report_faults``. Raises SettingsError for whatever else is wrong.
        """
        env = _Reader()
        values: dict[str, Any] = {
            "database_url": env.database("SETTLEMENTS_DATABASE_URL"),
            "database_pooler": env.pooler(),
            "timezone": time_zone(env),
            "missing_after": timedelta(
                days=env.number("SETTLEMENT_MISSING_AFTER_DAYS", MISSING_AFTER, most=MOST_DAYS) or 0
            ),
        }
        env.finish()
        accounts, faults = _report_accounts(reports or {})
        return cls(**values, accounts=accounts, report_faults=faults)


def has_settlements() -> bool:
    """Whether the way to the database of ``checkout settlements`` is among the settings here."""
    return bool(os.environ.get("SETTLEMENTS_DATABASE_URL"))


def time_zone(env: Reader) -> str:
    """``SETTLEMENTS_TIMEZONE``: the zone of the days and months of settled money. Faults are remembered by ``env``."""
    name = env.text("SETTLEMENTS_TIMEZONE", ZONE)
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a name that leads out of the folder, a folder, none
        env.refuse("SETTLEMENTS_TIMEZONE", f"{name[:60]!r} is no time zone: name one as UTC or Europe/Berlin")
        return ZONE
    return name


def _report_accounts(forms: Mapping[str, AccountForm]) -> tuple[dict[str, Account], dict[str, Sequence[str]]]:
    """The account of each provider of whose options one is set; of those that cannot be used, what is wrong."""
    accounts: dict[str, Account] = {}
    faults: dict[str, Sequence[str]] = {}
    for name, form in forms.items():
        # Each by a reader of its own, so that it is known whose fault it is.
        env = _Reader()
        try:
            account = env.report_account(name, form)
            env.finish()
        except SettingsError as error:
            faults[name] = str(error).splitlines()
        else:
            if account is not None:
                accounts[name] = account
    return accounts, faults


class _Reader(Reader):
    """Reads the settings of reports, as those of providers' accounts are read."""

    def report_account(self, name: str, form: AccountForm) -> Account | None:
        """The account of a provider, None where none of its options is set; a name that leads nowhere is a fault."""
        known = {f"{name}_{option}".upper() for option in (*form.needed, *form.optional)}
        for given in sorted(os.environ):
            if given.partition(_PART)[0].lower() == name and _PART in given and given not in known:
                self.refuse(given, f"is no setting; of these reports there are {', '.join(sorted(known))}")
        return self._report_account(name, form) if self._is_given(name, form) else None

    def _is_given(self, name: str, form: AccountForm) -> bool:
        return any(self._env.str(f"{name}_{option}".upper(), "") for option in (*form.needed, *form.optional))

    def _report_account(self, name: str, form: AccountForm) -> Account:
        options = {option: self._needed(f"{name}_{option}".upper()) for option in form.needed}
        options |= {option: self._env.str(f"{name}_{option}".upper(), "") for option in form.optional}
        for option, value in options.items():
            self._checked(f"{name}_{option}".upper(), value, *checks_of(name, form, option))
        if form.misfit and (found := form.misfit(options)):
            self.refuse(f"{name}_{found[0]}".upper(), found[1])
        if form.package and find_spec(form.package.module) is None:
            self.refuse(f"{name}{_PART}…".upper(), f"the fetch needs {form.package.remedy}")
        return Account(options={option: Secret(value) for option, value in options.items() if value})
