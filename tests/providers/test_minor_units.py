"""Each provider's smallest units: said once, with source and date, as its own package has them, and used both ways."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx
import pytest

from checkout_service.money import CURRENCIES, KNOWN_CURRENCIES, decimals
from checkout_service.providers.base import (
    Decline,
    Opened,
    Opening,
    Provider,
    ProviderRefundEvent,
    ProviderRefusedError,
    Reference,
)
from checkout_service.providers.minor_units import LOOKED_UP, MinorUnits, exceptions_of, read_of, table_of
from checkout_service.providers.registry import provider_specs
from tests.providers.kits import adyen, stripe
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import PAYMENT_ID, REFUND_ID

PAGE: Final = Path(__file__).parents[2] / "docs" / "currencies.md"
BEGIN, END = "<!-- minor units -->\n", "\n<!-- end -->"

ADYEN_WEB: Final = json.loads((Path(__file__).parent / "packages" / "adyen_web_currency_decimals.json").read_text())
"""What Adyen's own package divides an amount by."""

NOT_TAKEN: Final = {"BIF"}
"""Of list one, not on Adyen's page: its package divides it as any currency that it has not heard of."""

LINES: Final = [
    pytest.param(name, line, id=f"{name}-{line.currency}")
    for name, spec in provider_specs().items()
    for line in spec.minor_units
]

WHOLE: Final = Decimal(1200)


def test_the_page_shows_the_lines_of_all_providers() -> None:
    shown = table_of({name: spec.minor_units for name, spec in provider_specs().items()})
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END.lstrip("\n"))
    if os.environ.get("WRITE_MINOR_UNITS"):
        PAGE.write_text(f"{before}{BEGIN}{shown}{END}{after}", encoding="utf-8")
        text = PAGE.read_text(encoding="utf-8")

    assert f"{BEGIN}{shown}{END}" in text


@pytest.mark.parametrize("provider", [name for name, spec in provider_specs().items() if spec.minor_units])
def test_a_provider_that_says_any_says_each_that_was_looked_up_once_with_its_source(provider: str) -> None:
    lines = provider_specs()[provider].minor_units

    named = [line.currency for line in lines]
    assert len(named) == len(set(named))
    assert set(LOOKED_UP) <= set(named) <= KNOWN_CURRENCIES
    for line in lines:
        assert line.source.strip()
        assert date(2026, 1, 1) <= line.read <= datetime.now(UTC).date()
        assert line.decimals in {0, 2, 3}


def test_four_providers_say_their_units_and_ours_count_as_the_standard_does() -> None:
    assert {name for name, spec in provider_specs().items() if spec.minor_units} >= {
        *("adyen", "mollie", "paypal", "stripe"),
    }
    assert [provider_specs()[name].minor_units for name in ("mock", "standard")] == [(), ()]


def test_lines_that_differ_are_the_exceptions_and_no_others() -> None:
    units = read_of("a page", date(2026, 11, 30), {"ISK": 2, "EUR": 2, "COP": 0})

    assert exceptions_of(units) == {"ISK": 2, "COP": 0}
    assert "| ours | ISK | **2** | 0 | a page | 2026-11-30 |" in table_of({"ours": units})


@pytest.mark.parametrize("currency", sorted(CURRENCIES - NOT_TAKEN))
def test_adyens_units_are_those_of_its_own_package(currency: str) -> None:
    divisor = ADYEN_WEB["divisor"].get(currency, ADYEN_WEB["otherwise"])

    assert 10 ** decimals(currency, exceptions_of(provider_specs()["adyen"].minor_units)) == divisor


class Wire:
    """A kit's server that keeps what it was sent."""

    def __init__(self, bank: Any) -> None:
        self.bank = bank
        self.sent: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.sent.append(request)
        answer: httpx.Response = self.bank(request)
        return answer

    def amount(self) -> int | str:
        """That of the last request that has one, as it stood in its body."""
        for request in reversed(self.sent):
            body = request.content.decode()
            if request.headers["content-type"].startswith("application/json"):
                found = _amount_in(json.loads(body or "null"))
            else:
                found = dict(parse_qsl(body)).get("amount")
            if found is not None:
                return found
        raise AssertionError("no request has an amount")


def _amount_in(value: Any) -> int | str | None:
    if isinstance(value, dict):
        if "value" in value and {"currency", "currency_code"} & value.keys():
            found: int | str = value["value"]
            return found
        value = list(value.values())
    if isinstance(value, list):
        return next((found for each in value if (found := _amount_in(each)) is not None), None)
    return None


def written(provider: str, line: MinorUnits, amount: Decimal) -> str:
    """The amount as the provider wants it: a whole number of its units, or a text with its decimals."""
    if provider in {"stripe", "adyen"}:
        return str(int(amount.scaleb(line.decimals)))
    return f"{amount:.{line.decimals}f}"


def opened(provider: Provider, currency: str, amount: Decimal) -> Opened:
    return provider.open(Opening(payment_id=PAYMENT_ID, amount=amount, currency=currency))


@pytest.mark.parametrize(("name", "line"), LINES)
def test_an_amount_is_opened_and_read_back_in_the_providers_units(name: str, line: MinorUnits) -> None:
    wire = Wire(KITS[name].bank())

    held = opened(KITS[name].provider(answer=wire), line.currency, WHOLE)

    assert str(wire.amount()) == written(name, line, WHOLE)
    assert (held.amount, held.currency) == (WHOLE, line.currency)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_a_refund_is_sent_and_read_back_in_the_providers_units(name: str, line: MinorUnits) -> None:
    wire = Wire(KITS[name].bank())
    provider = KITS[name].provider(answer=wire)
    held = opened(provider, line.currency, WHOLE)
    wire.bank.pay(held.provider_ref)
    reference = Reference(
        provider_ref=held.provider_ref,
        payment_id=PAYMENT_ID,
        amount=WHOLE,
        currency=line.currency,
        payment_token=held.payment_token,
    )
    reference = replace(
        reference,
        attempt_ref="NC6HT9CRT65ZGN82",
        capture_ref=next((found for event in provider.look_up(reference) if (found := event.capture_ref)), None),
    )

    (event,) = provider.refund(reference, refund_id=REFUND_ID, amount=Decimal(7), reason=None)

    assert str(wire.amount()) == written(name, line, Decimal(7))
    assert isinstance(event, ProviderRefundEvent)
    assert (event.amount, event.currency) == (Decimal(7), line.currency)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_what_the_provider_cannot_express_is_refused_before_any_call(name: str, line: MinorUnits) -> None:
    finest = min(line.decimals, decimals(line.currency))
    wire = Wire(KITS[name].bank())

    with pytest.raises(ProviderRefusedError) as caught:
        opened(KITS[name].provider(answer=wire), line.currency, Decimal(12) + Decimal(5).scaleb(-finest - 1))

    assert caught.value.reason is Decline.AMOUNT_REFUSED
    assert wire.sent == []


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [("ISK", 120000, "1200"), ("UGX", 120000, "1200"), ("MGA", 1200, "1200"), ("HUF", 120050, "1200.50"),
     ("TWD", 120050, "1200.50"), ("CLP", 1200, "1200"), ("KWD", 1230, "1.230"), ("XCG", 1250, "12.50")],
)  # fmt: skip
def test_stripes_webhooks_are_read_in_its_units(currency: str, value: int, amount: str) -> None:
    paid = stripe.intent("succeeded", currency=currency.lower(), amount=value, amount_received=value)
    body = stripe.event("payment_intent.succeeded", paid)

    parsed = stripe.KIT.provider().verify_and_parse(stripe.KIT.sealed(body).raw("stripe"))

    assert {(event.amount, event.currency) for event in parsed.events} == {(Decimal(amount), currency)}


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [("ISK", 120000, "1200"), ("CLP", 120000, "1200"), ("IDR", 1200, "1200"), ("CVE", 1200, "1200"),
     ("UGX", 1200, "1200"), ("KWD", 1235, "1.235"), ("COP", 120050, "1200.50"), ("ZWG", 1250, "12.50")],
)  # fmt: skip
def test_adyens_webhooks_are_read_in_its_units(currency: str, value: int, amount: str) -> None:
    item = adyen.item("AUTHORISATION", "true", amount={"currency": currency, "value": value})
    body = adyen.batch(adyen.sign(item, adyen.KIT.secrets[0]))

    parsed = adyen.KIT.provider().verify_and_parse(adyen.KIT.sealed(body).raw("adyen"))

    assert {(event.amount, event.currency) for event in parsed.events} == {(Decimal(amount), currency)}
