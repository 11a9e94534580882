"""Of a refusal staff read its status and its codes, and nothing that a person or a secret may stand in."""

from __future__ import annotations

from typing import Any

import pytest

from checkout_service.providers.refusals import answer_in_short

SENTENCE = "The card of Ada Lovelace, ada@example.com, 4242 4242 4242 4242"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ({}, "status 422"),
        ({"error": 422}, "status 422"),
        ({"error": "more_than_is_left"}, "status 422, more_than_is_left"),
        (
            {"code": "charge_already_refunded", "type": "invalid_request_error", "message": SENTENCE},
            "status 422, charge_already_refunded, invalid_request_error",
        ),
        (
            {"name": "UNPROCESSABLE_ENTITY", "message": SENTENCE, "details": [
                {"issue": "CAPTURE_FULLY_REFUNDED", "description": SENTENCE, "value": "Ada"}]},
            "status 422, UNPROCESSABLE_ENTITY, CAPTURE_FULLY_REFUNDED",
        ),
        ({"status": 422, "errorCode": "167", "errorType": "validation", "x": 1}, "status 422, 167, validation"),
        ({"status": 422, "title": "Unprocessable Entity", "detail": SENTENCE, "field": "amount"}, "status 422, amount"),
        ({"error": {"code": "a_code", "message": SENTENCE}}, "status 422, a_code"),
        ({"details": [{"issue": f"ISSUE_{name}"} for name in "ABCDEFG"]}, "status 422, ISSUE_A, ISSUE_B, ISSUE_C"),
    ],
)  # fmt: skip
def test_what_is_shown(error: dict[str, Any], shown: str) -> None:
    assert answer_in_short(422, error) == shown


@pytest.mark.parametrize(
    "value",
    ["Ada", "ADA LOVELACE", "ada@example.com", "4242424242424242", "+44 20 7946 0018", "sk_live_4eC39HqLyjWDarj",
     "x" * 61, "", None, True, ["a"], {"a": "b"}, "a\x1b[31m", "\u202egnp"],
)  # fmt: skip
def test_what_is_no_code_is_not_shown(value: object) -> None:
    assert answer_in_short(400, {"name": value, "details": [value]}) == "status 400"
    if value != "Ada":  # one word, where a code belongs
        assert answer_in_short(400, {"code": value, "error": value}) == "status 400"
