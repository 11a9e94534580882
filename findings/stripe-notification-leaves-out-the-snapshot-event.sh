#!/bin/sh
# stripe 16.1: a parsed thin event does not have the id of its snapshot event, which its body has.
#
# While a destination for thin events and one for snapshots run side by side, each change comes twice. Stripe's guide to
# the migration tells the two apart by "snapshot_event" in the thin body. StripeClient.parse_event_notification() keeps
# id, type, created, livemode, context, reason and related_object, and drops this one, for every kind of event; the
# Event that fetch_event() brings does have it. Whoever needs the id reads the body once more, or pays a request.
#
# Seen: "stripe 16.1.0: in the body: evt_in_full, of the notification: none".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "stripe==16.1.0" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
"$folder/venv/bin/python" - <<'PYTHON'
import json
import time
from importlib.metadata import version

import stripe

SECRET = "whsec_of_this_test"
body = json.dumps(
    {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.refund.failed",
        "created": "2026-11-25T12:00:00.000Z",
        "livemode": False,
        "related_object": {"id": "re_1", "type": "refund", "url": "/v1/refunds/re_1"},
        "snapshot_event": "evt_in_full",
    }
)
header = stripe.WebhookSignature.generate_signature_header(body, SECRET, int(time.time()))
notification = stripe.StripeClient("sk_test_x").parse_event_notification(body.encode(), header, SECRET)
found = getattr(notification, "snapshot_event", "none")
print(f"stripe {version('stripe')}: in the body: {json.loads(body)['snapshot_event']}, of the notification: {found}")
assert notification.id == "evt_thin"
assert "snapshot_event" in stripe.v2.core.Event.__annotations__
assert found == "none", "the behaviour has changed"
PYTHON
