#!/bin/sh
# standardwebhooks 1.1 for Python: sign() takes an aware time of another zone for one in UTC, and verify() refuses it.
#
# Webhook.sign(msg_id, timestamp, data) replaces the zone of the timestamp by UTC and does not convert it. So 14:00 at
# +02:00 is signed as 14:00 UTC, two hours later than the moment it names, and the header webhook-timestamp that the
# same datetime gives by its own timestamp() is not what was signed. A sender has to give it datetime.now(timezone.utc);
# a local time is wrong even where it is aware.
#
# Seen: version 1.1.0 prints "the same moment in UTC: taken; at +02:00: No matching signature found".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "standardwebhooks==1.1.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook("whsec_" + "A" * 32)


def outcome(moment):
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": webhook.sign("msg_1", moment, "{}"),
    }
    try:
        webhook.verify("{}", headers)
    except WebhookVerificationError as error:
        return str(error)
    return "taken"


now = datetime.now(timezone.utc)
seen = outcome(now), outcome(now.astimezone(timezone(timedelta(hours=2))))
print(f"standardwebhooks {version('standardwebhooks')}: the same moment in UTC: {seen[0]}; at +02:00: {seen[1]}")
assert seen == ("taken", "No matching signature found"), "the behaviour has changed"
PYTHON
