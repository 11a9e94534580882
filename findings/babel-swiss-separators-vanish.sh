#!/bin/sh
# Babel 2.19: an amount of a million Swiss francs or more loses its separators.
#
# The CLDR data that it carries part Swiss digits by the plain apostrophe (U+0027), where it was U+2019 before. At its end
# NumberPattern.apply() takes every pair of plain apostrophes out of the whole text, since CLDR quotes words of a pattern
# by them, and the digits between two separators look like such a word. One separator stays, two vanish, of three the last stays. It is so
# for de_CH, it_CH, fr_CH, de_LI and other locales with that separator, in format_decimal() and format_currency() alike.
# Version 2.18 wrote all of them. Whoever writes amounts for Switzerland has to join the groups themselves.
#
# Seen: version 2.19.0 prints "CHF 1'234.50 | CHF 1234567.89 | 1234567'890".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "babel==2.19.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from decimal import Decimal

from babel.numbers import format_currency, format_decimal

found = [format_currency(Decimal(text), "CHF", locale="de_CH") for text in ("1234.50", "1234567.89")]
found = [text.replace("\u00a0", " ") for text in [*found, format_decimal(1234567890, locale="de_CH")]]
print(" | ".join(found))
assert found == ["CHF 1'234.50", "CHF 1234567.89", "1234567'890"], "the behaviour has changed"
PYTHON
