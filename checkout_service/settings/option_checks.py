"""How the value of an option of a provider's account is judged, when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from checkout_service.settings.provider_accounts import AccountForm
from checkout_service.settings.secret_forms import Check, no_address, what_it_is


def page_address(value: str) -> str | None:
    """What is wrong with the address of a page, or None."""
    return no_address(value, "https", "http")


def checks_of(provider: str, form: AccountForm, option: str) -> list[Check]:
    """How the value of an option is judged: by what its name promises, by its provider's own check, by its shape."""
    checks: list[Check] = []
    if option.endswith("_base"):  # a return_url may lead into an app
        checks.append(page_address)
    if option in form.checks:
        checks.append(form.checks[option])
    if option in form.shapes:
        checks.append(partial(_of_shape, provider, form.shapes[option]))
    return checks


def taken_by(provider: str, options: Mapping[str, str], value: str) -> str | None:
    """What is wrong with a webhook's secret that is the value of another option of its account, or None."""
    taken = next((option for option, other in options.items() if value and other == value), None)
    return None if taken is None else f"is the value of {f'{provider}_{taken}'.upper()}, not the secret of a webhook"


def _of_shape(provider: str, shape: str, value: str) -> str | None:
    if re.fullmatch(shape, value):
        return None
    kind = what_it_is(value)
    return f"does not look like one of {provider}'s" + (f": it is {kind}" if kind else "")
