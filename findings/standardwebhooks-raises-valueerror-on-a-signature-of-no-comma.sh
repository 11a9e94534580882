#!/bin/sh
# standardwebhooks 1.1 for Python: a signature without a comma raises ValueError, and hides the good one behind it.
#
# The header webhook-signature is a list with spaces between its items. Webhook.verify() splits each at its comma before
# it looks at its version. An item without one ends the call with ValueError, although a good signature follows; so a
# receiver that catches WebhookVerificationError alone answers 500 to whoever sends such a header.
# Receivers have to catch ValueError as well, and senders to put a comma into whatever they add to the list.
#
# Seen: version 1.1.0 prints "ValueError for 'unknown v1,<good>', taken for 'unknown, v1,<good>'".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "standardwebhooks==1.1.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timezone
from importlib.metadata import version

from standardwebhooks.webhooks import Webhook

webhook = Webhook("whsec_" + "A" * 32)
now = datetime.now(timezone.utc)
good = webhook.sign("msg_1", now, "{}")


def outcome(signatures):
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signatures}
    try:
        webhook.verify("{}", headers)
    except Exception as error:
        return type(error).__name__
    return "taken"


seen = outcome(f"unknown {good}"), outcome(f"unknown, {good}")
print(f"standardwebhooks {version('standardwebhooks')}: {seen[0]} for 'unknown v1,<good>', {seen[1]} for 'unknown, v1,<good>'")
assert seen == ("ValueError", "taken"), "the behaviour has changed"
PYTHON
