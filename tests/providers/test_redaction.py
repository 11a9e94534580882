"""What is kept of a body: what is named, and never a card's number wherever somebody wrote one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from checkout_service.providers.redaction import kept

CARDS = ["4242424242424242", "4242 4242 4242 4242", "5555-5555-5555-4444", "378282246310005", "2223003122003222"]


def test_only_what_is_named_is_kept_at_any_depth() -> None:
    body = {"id": "pi_1", "card": {"last4": "4242"}, "charges": [{"id": "ch_1", "card": {}, "sum": Decimal("0.1")}]}

    assert kept(body, {"id", "charges", "sum"}) == {"id": "pi_1", "charges": [{"id": "ch_1", "sum": 0.1}]}


@pytest.mark.parametrize("number", CARDS)
def test_a_cards_number_is_masked_even_where_it_may_stand(number: str) -> None:
    body = {"note": f"my card is {number}, thanks", "deep": [{"note": number}]}

    shown = str(kept(body, {"note", "deep"}))

    assert number not in shown
    assert shown.count("[digits left out]") == 2


def test_a_cards_number_is_masked_as_a_number_too() -> None:
    assert kept({"a": 4242424242424242}, {"a"}) == {"a": "[digits left out]"}


@pytest.mark.parametrize(
    "value", ["4242424242424241", "pi_4242424242424242", "1763900000000", 1763900000000, 10**19, True, None, "240.00"]
)
def test_what_only_looks_alike_is_left(value: Any) -> None:
    assert kept({"a": value}, {"a"}) == {"a": value}


@pytest.mark.parametrize("odd", ["\0", "\ud83c", "\udf93\ud83c"], ids=repr)
def test_a_text_loses_what_jsonb_cannot_hold_and_hides_no_card_behind_it(odd: str) -> None:
    body = {"note": f"Ada{odd} L. \U0001f393", "deep": [f"4242{odd}424242424242"], odd: 1}

    assert kept(body, {"note", "deep"}) == {"note": "Ada L. \U0001f393", "deep": ["[digits left out]"]}
