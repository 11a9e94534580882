"""Examples of what the API of webhook endpoints answers, for its document."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.api_versions import API_VERSIONS

_ID: Final = "01a206b6-2617-7632-98bf-296e992e5fb0"
_MOMENT: Final = "2026-11-25T04:05:06.123456Z"
_ENDS: Final = {"next_cursor": None, "has_more": False}

ENDPOINT: Final[dict[str, Any]] = {
    "id": _ID,
    "url": "https://shop.example.com/webhooks",
    "types": ["payment.paid"],
    "payload": "snapshot",
    "in_order": True,
    "signing": "v1",
    "description": "the warehouse",
    "state": "enabled",
    "state_reason": None,
    "state_since": _MOMENT,
    "place": 1042,
    "waiting": 0,
    "failed": 0,
    "last_success_at": _MOMENT,
    "api_version": API_VERSIONS.newest,
    "version": 1,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}

WITH_SECRET: Final = ENDPOINT | {"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDSwvqGAFxcHY="}

ROTATED: Final = WITH_SECRET | {"old_until": "2026-11-26T04:05:06.123456Z"}

ENDPOINTS: Final = {"data": [ENDPOINT], **_ENDS}

TEST_SENT: Final = {"event_id": "01a206b6-2617-7632-98bf-296e992e5fb1", "type": "webhook_endpoint.test"}

_DELIVERY: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fb2",
    "event_id": "01a206b6-2617-7632-98bf-296e992e5fb3",
    "seq": 1041,
    "type": "payment.paid",
    "state": "waiting",
    "replay_id": None,
    "attempts_made": 1,
    "next_attempt_at": "2026-11-25T04:10:06.123456Z",
    "attempts": [
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5fb4",
            "attempt": 1,
            "succeeded": False,
            "status": 500,
            "error": None,
            "answer": "Internal Server Error",
            "duration_ms": 41,
            "created_at": _MOMENT,
        }
    ],
    "created_at": _MOMENT,
}

DELIVERIES: Final = {"data": [_DELIVERY], **_ENDS}

REPLAY: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fb5",
    "endpoint_id": _ID,
    "event_id": None,
    "since": "2026-11-25T04:05:06Z",
    "types": ["payment.paid"],
    "only_failed": False,
    "requested_by": "key csk_0aB1cD2e",
    "state": "waiting",
    "stop_requested_at": None,
    "events": 120,
    "more": False,
    "sent": 0,
    "failed": 0,
    "from_seq": 921,
    "place": 920,
    "until_seq": 1042,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}

REPLAYS: Final = {"data": [REPLAY], **_ENDS}

COUNTED: Final = {"events": 120, "more": False}
