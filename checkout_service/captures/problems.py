"""Why a capture or a void is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from checkout_service.api.problems import Problem


class NotCapturable(Problem):
    status = 409
    slug = "not-capturable"
    title = "Nothing to capture"
    default_detail = (
        "Nothing of this payment is authorized and open, or it is being captured for the last time or voided."
    )
    example: ClassVar[Mapping[str, Any]] = {"payment_status": "pending"}


class CaptureTooLarge(Problem):
    status = 409
    slug = "capture-too-large"
    title = "Capture too large"
    default_detail = "Less than that is open of the authorization: ask for amount_left or less."
    example: ClassVar[Mapping[str, Any]] = {"amount_left": "40.00", "currency": "USD"}


class OneCaptureOnly(Problem):
    status = 409
    slug = "one-capture-only"
    title = "One capture only"
    default_detail = (
        "The account at this provider captures an authorization once, and releases the rest: see releases. Ask without "
        "final, or for all of it."
    )
    example: ClassVar[Mapping[str, Any]] = {"releases": "40.00", "currency": "USD"}


class NotVoidable(Problem):
    status = 409
    slug = "not-voidable"
    title = "Nothing to void"
    default_detail = "Nothing of this payment is authorized and open, or a capture or a void of it is under way."
    example: ClassVar[Mapping[str, Any]] = {"payment_status": "pending"}
