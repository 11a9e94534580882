"""Live or test, by the address that an account calls: merchant accounts may have the same name in both."""

from __future__ import annotations

import re
from typing import Final

TEST_BASE: Final = r"^https://checkout-test\.adyen\.com(?:/|$)"
LIVE_BASE: Final = r"^https://[a-z0-9-]+-checkout-live\.adyenpayments\.com(?:/|$)"
"""Addresses of the Checkout API (Adyen, "Live endpoints"); any other, such as a stand-in's, is of neither."""


def is_live(base: str) -> bool | None:
    """Whether it is an address of the live world; None where it is of neither."""
    if re.search(TEST_BASE, base):
        return False
    return True if re.search(LIVE_BASE, base) else None
