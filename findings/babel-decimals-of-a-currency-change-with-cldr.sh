#!/bin/sh
# Babel 2.19: format_currency() rounds 1234.50 HUF to HUF1,234, where 2.18 wrote HUF1,234.50.
#
# How many decimals a currency is written with comes of CLDR, which says what is usual, and not of ISO 4217, which says what
# the smallest unit is. The data of 2.19 took the decimals from HUF, IDR and COP; IQD, LBP and others had none before.
# With decimal_quantization=False the decimals that are there are kept, yet 1234.50 becomes "1,234.5"; with
# currency_digits=False the pattern's two decimals are taken, so that 1234 JPY becomes "1,234.00" and 1.234 KWD "1.23".
# No parameter gives a currency its own number of decimals. Whoever shows what somebody has to pay has to give them.
#
# Seen: version 2.19.0 prints "HUF1,234 | HUF1,234.5 | ¥1,234.00 | KWD1.23".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "babel==2.19.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
PYTHONIOENCODING=utf-8 "$folder/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

from babel.numbers import format_currency

found = [
    format_currency(Decimal("1234.50"), "HUF", locale="en"),
    format_currency(Decimal("1234.50"), "HUF", locale="en", decimal_quantization=False),
    format_currency(Decimal(1234), "JPY", locale="en", currency_digits=False),
    format_currency(Decimal("1.234"), "KWD", locale="en", currency_digits=False),
]
print(" | ".join(found))
assert found == ["HUF1,234", "HUF1,234.5", "¥1,234.00", "KWD1.23"], "the behaviour has changed"
PYTHON
