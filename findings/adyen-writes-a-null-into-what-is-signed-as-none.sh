#!/bin/sh
# Adyen 16.0 for Python: a field of a webhook that is null is signed as the word None, and the webhook is refused.
#
# The signature of an item covers eight fields, and one that is not there is empty in it. A payment has no
# originalReference, and whoever serialises the item again before the check (a queue, a typed model) writes null for that.
# generate_notification_sig() takes an absent field as '' and a null through str(), which is "None", so that
# is_valid_hmac_notification() is False for an item that it takes without the field. Drop what is null before the check.
#
# Seen: version 16.0.0 prints "absent True, empty True, null False; null is signed as the word None: True".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "Adyen==16.0.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from Adyen.util import generate_notification_sig, is_valid_hmac_notification

KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
ITEM = {
    "pspReference": "7914073381342284",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "TestPayment-1407325143704",
    "amount": {"value": 1130, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "success": "true",
    "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
}

seen = [
    is_valid_hmac_notification(ITEM | fields, KEY)
    for fields in ({}, {"originalReference": ""}, {"originalReference": None})
]
same = generate_notification_sig(ITEM | {"originalReference": None}, KEY) == generate_notification_sig(
    ITEM | {"originalReference": "None"}, KEY
)
words = "absent {}, empty {}, null {}; null is signed as the word None: {}".format(*seen, same)
print(f"Adyen {version('Adyen')}: {words}")
assert (seen, same) == ([True, True, False], True), "the behaviour has changed"
PYTHON
