"""The account that Stripe's reports are read by: a key of its own that may only read, and no SDK for a file."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from checkout_service.providers.adapters.stripe.spec import spec

_REPORTS = spec.reports
assert _REPORTS is not None
FORM = _REPORTS


def test_reader_and_fetcher_are_where_the_spec_says() -> None:
    for place in (FORM.read, FORM.fetch):
        module, _, name = place.partition(":")

        assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("key", ["rk_live_51NOTAREALKEY", "rk_test_51NOTAREALKEY"])
def test_a_restricted_key_is_taken(key: str) -> None:
    assert FORM.account.checks["reports_key"](key) is None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk_live_51NOTAREALKEY", "is a secret key of Stripe, which may move money"),
        ("rk_live_51 NOT", "has whitespace in it"),
        ("rk_live_51-NOT", "is cut short or has other characters in it"),
        ("pk_live_51NOTAREALKEY", "is a publishable key of Stripe"),
        ("whsec_51NOTAREALKEY", "is the signing secret of a webhook"),
        ("51NOTAREALKEY", "is not a restricted key of Stripe"),
    ],
)
def test_any_other_key_is_refused_in_words_that_do_not_show_it(key: str, words: str) -> None:
    fault = FORM.account.checks["reports_key"](key)

    assert fault is not None
    assert words in fault
    assert "NOT" not in fault


def test_settings_of_reports_are_no_settings_of_payments() -> None:
    form = FORM.account
    names = {*form.needed, *form.optional}

    assert names == {"reports_key", "reports_base"}
    assert not names & {*spec.account.needed, *spec.account.optional, *spec.account.reading}
    assert not form.secrets


def test_a_file_is_read_where_the_sdk_is_not_installed() -> None:
    module = FORM.read.partition(":")[0]
    code = f"import sys; sys.modules['stripe'] = None; import {module}; print('read')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("read\n", "")
