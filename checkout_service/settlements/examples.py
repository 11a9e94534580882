"""Examples of payouts and entries, for the API's document and for events."""

from __future__ import annotations

from typing import Any, Final

PAYOUT: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fc1",
    "provider": "stripe",
    "account": None,
    "reference": "po_1",
    "amount": "138.20",
    "currency": "USD",
    "status": "paid",
    "state": "reconciled",
    "itemized": True,
    "issued_at": "2026-11-24T00:00:00Z",
    "arrival_on": "2026-11-26",
    "bank_reference": "STRIPE PO1",
    "descriptor": "STRIPE",
    "failed_at": None,
    "failure_code": None,
    "original_reference": None,
    "entries": 3,
    "gross": "200.00",
    "fee": "61.80",
    "net": "138.20",
    "residue": "0.00",
    "exceptions": 0,
    "amount_at_bank": "138.20",
    "reconciled_at": "2026-11-26T06:00:00.123456Z",
    "version": 3,
    "created_at": "2026-11-25T04:05:06.123456Z",
    "updated_at": "2026-11-26T06:00:00.123456Z",
}

PAYOUTS: Final[dict[str, Any]] = {"data": [PAYOUT], "next_cursor": None, "has_more": False}

EXCEPTION: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fc2",
    "kind": "unknown_here",
    "provider": "stripe",
    "account": None,
    "payout_id": "01a206b6-2617-7632-98bf-296e992e5fc1",
    "count": 1,
    "amount": "-40.00",
    "currency": "USD",
    "payment_id": None,
    "detail": "no payment of ours is called pi_1",
    "created_at": "2026-11-25T04:05:06.123456Z",
}

WHOLE_PAYOUT: Final[dict[str, Any]] = PAYOUT | {
    "state": "unmatched",
    "exceptions": 1,
    "reconciled_at": None,
    "sums": [
        {"kind": "capture", "currency": "USD", "entries": 2, "gross": "240.00", "fee": "41.80", "net": "198.20"},
        {"kind": "dispute", "currency": "USD", "entries": 1, "gross": "-40.00", "fee": "20.00", "net": "-60.00"},
    ],
    "open_exceptions": [EXCEPTION],
    "bank_entries": [
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5fc3",
            "account": "DE89370400440532013000",
            "reference": "2026112600001",
            "state": "matched",
            "amount": "138.20",
            "currency": "USD",
            "entry_amount": "138.20",
            "occurred_at": "2026-11-26T00:00:00Z",
            "match_id": "01a206b6-2617-7632-98bf-296e992e5fc4",
            "resolved_at": None,
            "detail": None,
        }
    ],
    "files": [
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5fc5",
            "name": "payout_reconciliation.csv",
            "form": "payout_reconciliation.itemized.5",
            "account": None,
            "rows": 3,
            "state": "entered",
            "entered_at": "2026-11-25T04:05:06.123456Z",
            "was_accepted": False,
        }
    ],
}

ENTRIES: Final[dict[str, Any]] = {
    "data": [
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5fc6",
            "provider": "stripe",
            "account": None,
            "reference": "txn_1",
            "kind": "capture",
            "type": "charge",
            "gross": "200.00",
            "fee": "6.10",
            "net": "193.90",
            "currency": "USD",
            "customer_amount": None,
            "customer_currency": None,
            "rate": None,
            "occurred_at": "2026-11-22T23:30:00Z",
            "occurred_local": "2026-11-22 23:30:00",
            "available_on": "2026-11-24",
            "payout_id": "01a206b6-2617-7632-98bf-296e992e5fc1",
            "payout_reference": "po_1",
            "subject": "capture",
            "subject_reference": "ch_1",
            "payment_reference": "pi_1",
            "merchant_reference": None,
            "description": None,
            "file_id": "01a206b6-2617-7632-98bf-296e992e5fc5",
            "line": 2,
            "withdrawn": False,
            "matches": [
                {
                    "id": "01a206b6-2617-7632-98bf-296e992e5fc7",
                    "state": "matched",
                    "payout_id": None,
                    "payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
                    "subject": "capture",
                    "subject_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a5",
                    "amount": "200.00",
                    "currency": "USD",
                    "amount_here": "200.00",
                    "currency_here": "USD",
                    "differs": [],
                    "detail": None,
                    "resolved_at": None,
                }
            ],
            "created_at": "2026-11-25T04:05:06.123456Z",
        }
    ],
    "next_cursor": None,
    "has_more": False,
}
