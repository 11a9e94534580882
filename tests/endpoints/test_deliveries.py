"""Staff see what waits, failed and was taken at an endpoint, with its attempts; and send a test event."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest

from checkout_service.endpoints import deliveries
from checkout_service.endpoints.deliveries import safe_text
from tests.conftest import Sql
from tests.endpoints.conftest import Staff, WriteAttempt, WritePending


def listed(staff: Staff, endpoint: str, query: str = "") -> list[tuple[str, str]]:
    answer = staff.get(f"{endpoint}/deliveries{query}")
    assert answer.status_code == 200, answer.text
    return [(row["event_id"], row["state"]) for row in answer.json["data"]]


@pytest.mark.parametrize("state", ["suspended", "disabled"])
def test_nothing_is_due_at_an_endpoint_to_which_nothing_is_sent(
    staff: Staff, pending: WritePending, attempt: WriteAttempt, sql: Sql, state: str
) -> None:
    made = staff.make()["id"]
    waits = pending(made)
    attempt(made, waits, status=None, answer=b"")
    sql("UPDATE webhook_endpoints SET state = :state, state_reason = 'failing'", state=state)

    (shown,) = staff.get(f"{made}/deliveries").json["data"]

    assert (shown["state"], shown["next_attempt_at"]) == ("waiting", None)
    assert [(each["error"], each["answer"]) for each in shown["attempts"]] == [("timeout", None)]


def test_what_waits_failed_and_was_taken_is_listed_with_its_attempts(
    staff: Staff, pending: WritePending, attempt: WriteAttempt
) -> None:
    made, other = staff.make()["id"], staff.make()["id"]
    taken = uuid4()
    attempt(made, taken, status=500, answer=b"first")
    attempt(made, taken, status=204, attempt=2)
    waits = pending(made, seq=2)
    attempt(made, waits, status=None)
    attempt(made, waits, status=503, answer=b"\x1b[2J<b>\xff\xe2\x80\xae" + b"x" * 900, attempt=2)
    failed = pending(made, seq=3, state="failed", type="refund.failed")
    pending(other)
    attempt(other, waits, status=500)

    assert listed(staff, made) == [(str(failed), "failed"), (str(waits), "waiting"), (str(taken), "delivered")]
    _, waiting, delivered = staff.get(f"{made}/deliveries").json["data"]
    assert [(each["attempt"], each["status"], each["error"]) for each in waiting["attempts"]] == [
        *((2, 503, None), (1, None, "timeout")),
    ]
    assert waiting["attempts"][0]["answer"] == "\\u001b[2J<b>\\xff\\u202e" + "x" * 900
    assert waiting["next_attempt_at"] is not None
    assert [(each["attempt"], each["succeeded"], each["answer"]) for each in delivered["attempts"]] == [
        *((2, True, None), (1, False, "first")),
    ]
    assert delivered["attempts_made"] == 2
    for query, events in (
        ("?state=failed", [failed]),
        ("?state=delivered", [taken]),
        ("?type=refund.failed", [failed]),
        ("?type=payment.paid", [waits, taken]),
        ("?type=payment.paid&state=waiting", [waits]),
        ("?type=payment.voided", []),
        (f"?event={waits}", [waits]),
        (f"?event={uuid4()}", []),
    ):
        assert [event for event, _ in listed(staff, made, query)] == list(map(str, events)), query
    for query in ("state=lost", "type=payment", "event=1", "limit=0", "cursor=no", "since=2026-01-01"):
        assert staff.get(f"{made}/deliveries?{query}").status_code == 422, query


def test_an_event_that_was_taken_is_found_by_its_id(staff: Staff, attempt: WriteAttempt, sql: Sql) -> None:
    made = staff.make()["id"]
    events = [UUID(str(sql("SELECT uuidv7() AS id")[0].id)) for _ in range(3)]
    for event in events:
        attempt(made, event, status=200)
    assert listed(staff, made, f"?event={events[1]}") == [(str(events[1]), "delivered")]


def test_pages_show_each_once_and_end(
    staff: Staff, pending: WritePending, attempt: WriteAttempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = staff.make()["id"]
    events = []
    for number in range(4):
        events.append(pending(made, seq=number))
        events.append(pending(made, seq=number, state="failed"))
        events.append(uuid4())
        attempt(made, events[-1], status=200)
    for query in ("", "&type=payment.paid"):
        seen, cursor = [], ""
        while True:
            page = staff.get(f"{made}/deliveries?limit=5{query}{cursor}").json
            seen += [row["event_id"] for row in page["data"]]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == [str(event) for event in reversed(events)]


def test_a_page_looks_through_so_many_and_goes_on_from_there(staff: Staff, sql: Sql) -> None:
    """Twice as many as a page looks through, of which the oldest alone is of the type."""
    made = staff.make()["id"]
    sql(
        """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane, state)
        SELECT :id, uuidv7(), number, CASE number WHEN 1 THEN 'refund.failed' ELSE 'payment.paid' END, uuidv7(),
            'waiting' FROM generate_series(1, :number) AS number""",
        id=made,
        number=deliveries.LOOKED_THROUGH + 5,
    )
    first = staff.get(f"{made}/deliveries?type=refund.failed").json
    assert (first["data"], first["has_more"]) == ([], True)
    second = staff.get(f"{made}/deliveries?type=refund.failed&cursor={first['next_cursor']}").json
    assert ([row["seq"] for row in second["data"]], second["has_more"]) == ([1], False)
    assert staff.get(made).json["waiting"] == 10_000, "counting ends somewhere"


def test_a_test_event_waits_for_that_endpoint_alone_due_at_once(staff: Staff, sql: Sql) -> None:
    made, other = staff.make(types=["refund.failed"])["id"], staff.make()["id"]
    answer = staff.post(f"{made}/test")

    assert (answer.status_code, answer.json["type"]) == (202, "webhook_endpoint.test")
    event = answer.json["event_id"]
    assert listed(staff, made, f"?event={event}") == [(event, "waiting")]
    assert listed(staff, made, "?type=webhook_endpoint.test") == [(event, "waiting")]
    assert listed(staff, other) == []
    (row,) = sql("SELECT * FROM events")
    assert (str(row.id), row.type, row.object_type, str(row.object_id)) == (
        *(event, "webhook_endpoint.test", "webhook_endpoint", made),
    )
    body = json.loads(row.body)
    assert body["id"] == made
    assert body["url"] == staff.get(made).json["url"]
    assert not body.keys() & {"secret", "ciphertext"}
    assert sql("SELECT count(*) AS n FROM unsequenced_events")[0].n == 0
    assert sql("SELECT next_attempt_at <= now() AS due FROM pending_deliveries")[0].due
    assert sql("SELECT next_due_at <= now() AS due FROM webhook_endpoints WHERE id = :id", id=made)[0].due
    assert [staff.post(f"{made}/test").status_code for _ in range(10)] == [202] * 9 + [409]
    staff.patch(other, state="disabled")
    refused = staff.post(f"{other}/test")
    assert (refused.status_code, refused.json["type"]) == (409, "/problems/webhook-endpoint-disabled")
    assert sql("SELECT count(*) AS n FROM events")[0].n == 10


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, None),
        (b"", ""),
        (b"plain\n\ttext", "plain\n\ttext"),
        ("für".encode(), "für"),
        (b"\x00\x7f\r", "\\u0000\\u007f\\u000d"),
        ("\u2028\u202e\ufeff\U000e0001".encode(), "\\u2028\\u202e\\ufeff\\U000e0001"),
        (b"\xc3\x28\xe2\x82", "\\xc3(\\xe2\\x82"),
    ],
)
def test_a_strangers_answer_is_shown_as_text_that_misleads_nobody(answer: bytes | None, text: str | None) -> None:
    assert safe_text(answer) == text
