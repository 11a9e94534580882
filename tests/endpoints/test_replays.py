"""Staff have events sent once more: all since a moment or one, counted before, with a key, and stopped."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.conftest import Servers, Sql
from tests.endpoints.conftest import Staff, WritePending
from tests.events.rows import insert_event
from tests.worker.events.test_killed import until


def at(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


@pytest.fixture
def log(sql: Sql) -> list[int]:
    """Ten events, an hour between each and the next, the newest an hour ago; every third a refund's."""
    numbers = [insert_event(sql, "refund.failed" if number % 3 == 0 else "payment.paid") for number in range(10)]
    sql("""
        ALTER TABLE event_numbers DISABLE TRIGGER USER;
        WITH moved AS (
            UPDATE event_numbers SET event_id = uuidv7(make_interval(hours => (seq - 11)::integer)),
                created_at = now() - make_interval(hours => (11 - seq)::integer)
            RETURNING seq, old.event_id, new.event_id AS id
        )
        UPDATE events SET id = moved.id, created_at = now() - make_interval(hours => (11 - seq)::integer)
        FROM moved WHERE moved.event_id = events.id
    """)
    return numbers


def test_a_replay_is_of_all_since_a_moment_up_to_where_the_endpoint_is(staff: Staff, log: list[int], sql: Sql) -> None:
    made = staff.make()
    later = insert_event(sql)
    for since, first in ((at(100), 1), (at(4.5), 7), (at(0.5), 11)):
        counted = staff.post(f"{made['id']}/replay", json={"since": since, "dry_run": True})
        assert (counted.status_code, counted.json) == (200, {"events": 11 - first, "more": False}), since
    assert sql("SELECT count(*) AS n FROM event_replays")[0].n == 0
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 1, "to count is no command"

    answer = staff.post(f"{made['id']}/replay", json={"since": at(4.5)})
    replay = answer.json
    assert (answer.status_code, replay["events"], replay["more"], replay["state"]) == (202, 4, False, "waiting")
    assert (replay["from_seq"], replay["place"], replay["until_seq"]) == (7, 6, 10)
    assert replay["until_seq"] < later
    assert staff.get(f"{made['id']}/replays").json["data"] == [replay]
    assert sql("SELECT next_due_at <= now() AS due FROM webhook_endpoints")[0].due


def test_it_is_narrowed_to_types_and_to_what_the_endpoint_gets(staff: Staff, log: list[int]) -> None:
    everything, refunds = staff.make(), staff.make(types=["refund.failed", "dispute.opened"])
    for endpoint, types, events, kept in (
        (everything, ["refund.failed"], 4, ["refund.failed"]),
        (everything, ["payment.paid", "refund.failed"], 10, ["payment.paid", "refund.failed"]),
        (refunds, None, 4, ["dispute.opened", "refund.failed"]),
        (refunds, ["payment.paid"], 0, []),
    ):
        body = {"since": at(100), "types": types}
        assert staff.post(f"{endpoint['id']}/replay", json=body | {"dry_run": True}).json["events"] == events
        replay = staff.post(f"{endpoint['id']}/replay", json=body).json
        assert (replay["events"], sorted(replay["types"])) == (events, kept)


def test_only_failed_counts_those_that_were_given_up(staff: Staff, log: list[int], pending: WritePending) -> None:
    made = staff.make()
    for seq, state in ((2, "failed"), (8, "failed"), (9, "failed"), (9, "waiting")):
        pending(made["id"], seq=seq, state=state, type="refund.failed" if seq == 9 else "payment.paid")
    body = {"since": at(4.5), "only_failed": True}
    assert staff.post(f"{made['id']}/replay", json=body | {"dry_run": True}).json["events"] == 2
    assert staff.post(f"{made['id']}/replay", json=body | {"types": ["refund.failed"]}).json["events"] == 1


def test_one_event_is_sent_once_more_if_it_is_kept_and_the_endpoint_came_by_it(
    staff: Staff, log: list[int], sql: Sql
) -> None:
    made = staff.make(types=["dispute.opened"])
    fifth = str(sql("SELECT event_id FROM event_numbers WHERE seq = 5")[0].event_id)
    assert staff.post(f"{made['id']}/replay", json={"event_id": fifth, "dry_run": True}).json["events"] == 1
    replay = staff.post(f"{made['id']}/replay", json={"event_id": fifth}).json
    assert (replay["event_id"], replay["from_seq"], replay["until_seq"], replay["events"]) == (fifth, 5, 5, 1)

    insert_event(sql)
    later = str(sql("SELECT event_id FROM event_numbers WHERE seq = 11")[0].event_id)
    for unknown in (later, str(uuid4())):
        answer = staff.post(f"{made['id']}/replay", json={"event_id": unknown})
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/event_id")
    assert sql("SELECT count(*) AS n FROM event_replays")[0].n == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/since"),
        ({"types": ["payment.paid"]}, "/since"),
        ({"since": "yesterday"}, "/since"),
        ({"since": "2026-11-25T04:05:06"}, "/since"),
        ({"since": "2026-11-25", "types": ["no"]}, "/types/0"),
        ({"since": "2026-11-25", "only_failed": "yes"}, "/only_failed"),
        ({"since": "2026-11-25", "until": "2026-11-26"}, "/until"),
        ({"since": "2026-11-25", "event_id": str(UUID(int=1))}, "/event_id"),
        ({"event_id": "1"}, "/event_id"),
    ],
)
def test_what_cannot_be_replayed_is_422(staff: Staff, sql: Sql, body: dict[str, object], pointer: str) -> None:
    answer = staff.post(f"{staff.make()['id']}/replay", json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert sql("SELECT count(*) AS n FROM event_replays")[0].n == 0


def test_the_same_key_is_the_same_replay(staff: Staff, log: list[int], sql: Sql) -> None:
    made = staff.make()["id"]
    key = {"Idempotency-Key": "replay-1"}
    body = {"since": at(4.5)}
    first = staff.post(f"{made}/replay", json=body, headers=key)
    again = staff.post(f"{made}/replay", json=body, headers=key)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert "Idempotent-Replayed" not in first.headers
    other = staff.post(f"{made}/replay", json={"since": at(5.5)}, headers=key)
    assert (other.status_code, other.json["type"]) == (422, "/problems/idempotency-key-reused")
    assert staff.post(f"{made}/replay", json={"since": at(4.5)}).json["id"] != first.json["id"]
    assert sql("SELECT count(*) AS n FROM event_replays")[0].n == 2


def test_a_replay_is_stopped_once_and_one_that_ended_stays_as_it_is(staff: Staff, log: list[int], sql: Sql) -> None:
    made = staff.make()["id"]
    replay = staff.post(f"{made}/replay", json={"since": at(100)}).json
    stopped = staff.post(f"{made}/replays/{replay['id']}/stop")
    assert stopped.status_code == 202
    assert stopped.json["stop_requested_at"] is not None
    again = staff.post(f"{made}/replays/{replay['id']}/stop").json
    assert again["stop_requested_at"] == stopped.json["stop_requested_at"]
    assert sql("SELECT count(*) AS n FROM audit WHERE action = 'stop_replay'")[0].n == 1

    done = staff.post(f"{made}/replay", json={"since": at(100)}).json
    sql("UPDATE event_replays SET state = 'done' WHERE id = :id", id=done["id"])
    assert staff.post(f"{made}/replays/{done['id']}/stop").json["stop_requested_at"] is None
    assert staff.post(f"{staff.make()['id']}/replays/{replay['id']}/stop").status_code == 404


def test_no_replay_is_admitted_for_an_endpoint_that_is_deleted_at_this_moment(
    staff: Staff, log: list[int], sql: Sql, servers: Servers
) -> None:
    made = staff.make()["id"]
    answers: list[int] = []
    with psycopg.connect(servers.web_url.replace("+psycopg", "")) as other:
        other.execute("UPDATE webhook_endpoints SET deleted_at = now() WHERE id = %s", [made])
        asking = threading.Thread(
            target=lambda: answers.append(staff.post(f"{made}/replay", json={"since": at(4.5)}).status_code)
        )
        asking.start()
        until(lambda: bool(sql("SELECT FROM pg_locks WHERE NOT granted")))
        other.commit()
        asking.join()
    assert answers == [404]
    assert sql("SELECT FROM event_replays") == []


def test_ten_are_under_way_at_most_and_none_where_nothing_is_sent(staff: Staff, log: list[int]) -> None:
    made = staff.make()["id"]
    answers = [staff.post(f"{made}/replay", json={"since": at(100)}).status_code for _ in range(11)]
    assert answers == [202] * 10 + [409]
    first = staff.get(f"{made}/replays?limit=6").json
    rest = staff.get(f"{made}/replays?limit=6&cursor={first['next_cursor']}").json
    assert (len(first["data"]), len(rest["data"]), rest["has_more"]) == (6, 4, False)

    other = staff.make()["id"]
    staff.patch(other, state="disabled")
    refused = staff.post(f"{other}/replay", json={"since": at(100)})
    assert (refused.status_code, refused.json["type"]) == (409, "/problems/webhook-endpoint-disabled")


def test_what_is_not_kept_any_more_is_not_counted(staff: Staff, log: list[int], sql: Sql) -> None:
    sql("DELETE FROM event_numbers WHERE seq <= 3")
    sql("UPDATE event_series SET dropped_seq = 3")
    made = staff.make()["id"]
    replay = staff.post(f"{made}/replay", json={"since": at(100)}).json
    assert (replay["from_seq"], replay["events"]) == (4, 7)
