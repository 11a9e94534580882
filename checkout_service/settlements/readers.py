"""Who reads which file, and who fetches reports: by what each provider says of itself, loaded when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, Final, cast

from checkout_service.providers.registry import ProviderSpecError, provider_specs
from checkout_service.providers.reports import FetchReports, ReadReport, ReportForm
from checkout_service.settings.provider_accounts import Account, AccountForm
from checkout_service.settlement_words import BANK

_OF_A_BANK: Final = "checkout_service.settlements.banks.reading:read_statement"


class NoReportsError(Exception):
    """No reports of such a name can be read; the message says of whom there are some."""


def report_forms() -> Mapping[str, AccountForm]:
    """The settings of the reports of each provider that has some, by its name. Raises ProviderSpecError."""
    return {name: form.account for name, form in _forms().items()}


def report_providers() -> tuple[str, ...]:
    """Whose files can be read: providers, and ``bank``. Raises ProviderSpecError."""
    return (*_forms(), BANK)


def reader_of(provider: str) -> ReadReport:
    """What reads a file of this provider, or of a ``bank``. Raises NoReportsError and ProviderSpecError."""
    place = _OF_A_BANK if provider == BANK else _form(provider).read
    return cast("ReadReport", _loaded(provider, place))


def fetcher_of(provider: str) -> FetchReports:
    """What fetches the reports of this provider. Raises NoReportsError and ProviderSpecError."""
    return cast("FetchReports", _loaded(provider, _form(provider).fetch))


def account_name(provider: str, account: Account) -> str:
    """What the account of these settings is called there; '' where the key says it. Raises NoReportsError."""
    option = _form(provider).account_option
    return (account.option(option) or "") if option else ""


def _forms() -> Mapping[str, ReportForm]:
    return {name: spec.reports for name, spec in provider_specs().items() if spec.reports is not None}


def _form(provider: str) -> ReportForm:
    forms = _forms()
    if provider in forms:
        return forms[provider]
    why = "has no reports that can be read" if provider in provider_specs() else "is no provider"
    raise NoReportsError(f"{provider!r} {why}; there are those of {', '.join((*forms, BANK))}")


def _loaded(provider: str, place: str) -> Any:
    try:
        found = resolve_name(place)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProviderSpecError(f"reports of {provider}: {place} cannot be loaded ({error})") from error
    if not callable(found):
        raise ProviderSpecError(f"reports of {provider}: {place} cannot be called")
    return found
