"""Staff make, read, change and delete webhook endpoints by the API."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from checkout_service.api_versions import API_VERSIONS, ApiVersion
from checkout_service.endpoints.secrets import open_secret
from tests.apps import MakeApp, make_app
from tests.conftest import Sql
from tests.endpoints.conftest import KEYS, PATH, URL, Staff, WritePending
from tests.events.rows import insert_event
from tests.own_apps import signed

__all__ = ["make_app"]  # fixtures

MEMBERS = {
    *("id", "url", "types", "payload", "in_order", "signing", "description", "state", "state_reason", "state_since"),
    *("place", "waiting", "failed", "last_success_at", "api_version", "version", "created_at", "updated_at"),
}


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(staff: Staff, sql: Sql) -> None:
    answer = staff.post("", json={"url": URL, "types": ["refund.failed", "payment.paid"], "description": "warehouse"})

    assert answer.status_code == 201, answer.text
    made = answer.json
    assert made.keys() == MEMBERS | {"secret"}
    assert (made["url"], made["state"], made["version"], made["in_order"]) == (URL, "enabled", 1, True)
    assert (made["types"], made["description"], made["payload"]) == (
        *(["payment.paid", "refund.failed"], "warehouse", "snapshot"),
    )
    assert answer.headers["Location"] == f"{PATH}/{made['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    (kept,) = sql("SELECT * FROM endpoint_secrets")
    assert made["secret"] == "whsec_" + base64.b64encode(open_secret(kept.ciphertext, KEYS)).decode()
    assert (str(kept.endpoint_id), kept.scheme, kept.ends_at) == (made["id"], "v1", None)
    shown = [staff.get(made["id"]).json, staff.get("").json["data"][0]]
    assert shown == [{name: value for name, value in made.items() if name != "secret"}] * 2
    everything = str([sql(f"SELECT * FROM {table}") for table in ("webhook_endpoints", "endpoint_secrets", "audit")])
    assert made["secret"][6:] not in everything


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": "http://shop.example.com/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": URL, "types": []}, "/types"),
        ({"url": URL, "types": ["payment.pending"]}, "/types/0"),
        ({"url": URL, "types": ["payment.*"]}, "/types/0"),
        ({"url": URL, "types": "payment.paid"}, "/types"),
        ({"url": URL, "payload": "fat"}, "/payload"),
        ({"url": URL, "description": "a\nb"}, "/description"),
        ({"url": URL, "description": "x" * 501}, "/description"),
        ({"url": URL, "in_order": 1}, "/in_order"),
        ({"url": URL, "signing": "v2"}, "/signing"),
        ({"url": URL, "api_version": "2"}, "/api_version"),
        ({"url": URL, "state": "disabled"}, "/state"),
        ({"url": URL, "place": 0}, "/place"),
        ({"url": URL, "secret": "whsec_AAAA"}, "/secret"),
    ],
)
def test_what_cannot_be_is_422_and_makes_nothing(staff: Staff, sql: Sql, fields: dict[str, Any], pointer: str) -> None:
    answer = staff.post("", json=fields)

    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json["errors"]]
    assert sql("SELECT count(*) AS n FROM webhook_endpoints")[0].n == 0
    assert sql("SELECT count(*) AS n FROM audit")[0].n == 0


def test_a_new_endpoint_begins_behind_what_is_numbered(staff: Staff, sql: Sql) -> None:
    assert staff.make()["place"] == 0
    last = max(insert_event(sql) for _ in range(3))
    assert staff.make()["place"] == last


def test_without_a_key_no_endpoint_is_made(make_app: MakeApp, sql: Sql) -> None:
    answer = (
        make_app(webhook_secrets_keys=())
        .test_client()
        .post(PATH, json={"url": URL}, headers=signed(scope="webhooks:write"))
    )

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/no-webhook-secrets-key")
    assert sql("SELECT count(*) AS n FROM webhook_endpoints")[0].n == 0


def test_there_are_so_many_live_ones_and_no_more(make_app: MakeApp, sql: Sql) -> None:
    client = make_app(webhook_endpoints_max=2).test_client()
    headers = signed(scope="webhooks:write")
    made = [client.post(PATH, json={"url": URL}, headers=headers).json["id"] for _ in range(2)]

    refused = client.post(PATH, json={"url": URL}, headers=headers)
    assert (refused.status_code, refused.json["type"], refused.json["most"]) == (
        *(409, "/problems/too-many-webhook-endpoints", 2),
    )
    assert sql("SELECT count(*) AS n FROM endpoint_secrets")[0].n == 2
    assert client.delete(f"{PATH}/{made[0]}", headers=headers).status_code == 204
    assert client.post(PATH, json={"url": URL}, headers=headers).status_code == 201


def test_a_setting_opens_private_addresses_http_and_every_port(make_app: MakeApp) -> None:
    client = make_app(webhook_allow_private_addresses=True).test_client()
    made = client.post(PATH, json={"url": "http://127.0.0.1:9000/x"}, headers=signed(scope="webhooks:write"))
    assert made.status_code == 201, made.text


def test_what_is_named_changes_and_nothing_else(staff: Staff, sql: Sql) -> None:
    made = staff.make(types=["payment.paid"], description="one")
    changed = staff.patch(made["id"], types=None, payload="thin").json
    assert (changed["types"], changed["payload"], changed["description"], changed["version"]) == (
        None,
        "thin",
        "one",
        2,
    )

    again = staff.patch(made["id"], payload="thin").json
    assert again["version"] == 2, "nothing was changed"
    for fields, pointer in (({}, ""), ({"state": "suspended"}, "/state"), ({"url": "https://[::1]/"}, "/url")):
        answer = staff.by.patch(f"{PATH}/{made['id']}", json=fields)
        assert (answer.status_code, [error["pointer"] for error in answer.json["errors"]]) == (422, [pointer])
    assert staff.get(made["id"]).json == again


def test_an_endpoint_keeps_the_version_of_the_api_that_was_the_newest_until_staff_choose_another(staff: Staff) -> None:
    old, newest = staff.make(), API_VERSIONS.newest
    API_VERSIONS.register(ApiVersion("later", lambda _, body: dict(body)))
    try:
        assert (old["api_version"], staff.make()["api_version"]) == (newest, "later")
        assert staff.make(api_version="1")["api_version"] == "1"
        changed = staff.patch(old["id"], api_version="later").json
        assert (changed["api_version"], changed["version"]) == ("later", 2), "whoever sends to it sees that it changed"
    finally:
        API_VERSIONS.forget_newest()
    answer = staff.by.patch(f"{PATH}/{old['id']}", json={"api_version": "later"})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/api_version")


def test_a_disabled_endpoint_that_is_enabled_has_all_that_waits_due_at_once(
    staff: Staff, sql: Sql, pending: WritePending
) -> None:
    made = staff.make()
    other = staff.make()
    for endpoint in (made["id"], other["id"]):
        pending(endpoint, seq=1, in_seconds=3600)
        pending(endpoint, seq=2, state="failed")
    sql(
        """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane)
        VALUES (:id, uuidv7(), 3, 'payment.paid', uuidv7())""",
        id=made["id"],
    )
    sql("""UPDATE webhook_endpoints SET state = 'suspended', state_reason = 'failing', failures = 20, probes = 3,
        failing_since = now(), pace = 4, next_due_at = now() + interval '1 hour'""")

    disabled = staff.patch(made["id"], state="disabled").json
    assert (disabled["state"], disabled["state_reason"]) == ("disabled", "requested")
    enabled = staff.patch(made["id"], state="enabled").json

    assert (enabled["state"], enabled["state_reason"], enabled["waiting"], enabled["failed"]) == ("enabled", None, 2, 1)
    due = "SELECT seq, next_attempt_at <= now() AS due FROM pending_deliveries WHERE endpoint_id = :id ORDER BY seq"
    assert [tuple(row) for row in sql(due, id=made["id"])] == [(1, True), (2, None), (3, None)]
    assert [tuple(row) for row in sql(due, id=other["id"])] == [(1, False), (2, None)]
    (row,) = sql("SELECT * FROM webhook_endpoints WHERE id = :id", id=made["id"])
    assert (row.failures, row.failing_since, row.probes, row.pace) == (0, None, 0, None)
    assert row.next_due_at <= row.updated_at


def test_a_deleted_endpoint_is_gone_its_secrets_end_and_its_replays_stop(staff: Staff, sql: Sql) -> None:
    insert_event(sql)
    made = staff.make()
    replay = staff.post(f"{made['id']}/replay", json={"since": "2026-01-01"}).json
    assert staff.delete(made["id"]).status_code == 204

    for answer in (staff.get(made["id"]), staff.delete(made["id"]), staff.patch(made["id"], state="enabled")):
        assert answer.status_code == 404
    for path in ("test", "rotate-secret", "replay"):
        body = {"since": "2026-01-01"} if path == "replay" else {}
        assert staff.post(f"{made['id']}/{path}", json=body).status_code == 404, path
    assert staff.get("").json["data"] == []
    (row,) = sql("SELECT * FROM webhook_endpoints")
    assert (row.state, row.state_reason, row.deleted_at is not None) == ("disabled", "deleted", True)
    assert sql("SELECT ends_at <= now() AS over FROM endpoint_secrets")[0].over
    assert sql("SELECT stop_requested_at FROM event_replays WHERE id = :id", id=replay["id"])[0].stop_requested_at
    sql("UPDATE webhook_endpoints SET state = 'enabled', state_reason = NULL")  # a sender that comes late
    assert sql("SELECT state::text AS state FROM webhook_endpoints")[0].state == "disabled"


def test_a_list_goes_on_by_its_cursor_whatever_comes_meanwhile(staff: Staff) -> None:
    ids = [staff.make()["id"] for _ in range(5)]
    staff.patch(ids[2], state="disabled")
    first = staff.get("?limit=2").json
    newest = staff.make()["id"]
    second = staff.get(f"?limit=2&cursor={first['next_cursor']}").json
    third = staff.get(f"?limit=2&cursor={second['next_cursor']}").json

    seen = [row["id"] for page in (first, second, third) for row in page["data"]]
    assert (seen, third["has_more"], third["next_cursor"]) == (ids[::-1], False, None)
    assert [row["id"] for row in staff.get("?state=disabled").json["data"]] == [ids[2]]
    assert staff.get("").json["data"][0]["id"] == newest
    for query in ("limit=0", "limit=101", "cursor=x", "state=gone", "page=2"):
        assert staff.get(f"?{query}").status_code == 422, query


def test_an_unknown_id_is_404_everywhere(staff: Staff) -> None:
    unknown = uuid4()
    for path in ("", "/deliveries", "/replays"):
        assert staff.get(f"{unknown}{path}").status_code == 404, path
    for path in ("/test", "/rotate-secret", f"/replays/{uuid4()}/stop"):
        assert staff.post(f"{unknown}{path}", json={} if "rotate" in path else None).status_code == 404, path
    assert staff.post(f"{unknown}/replay", json={"since": "2026-01-01", "dry_run": True}).status_code == 404


def test_every_change_is_in_the_audit_with_who_made_it(staff: Staff, sql: Sql) -> None:
    made = staff.make()
    staff.patch(made["id"], description="two")
    staff.post(f"{made['id']}/rotate-secret", json={})
    staff.post(f"{made['id']}/test")
    replay = staff.post(f"{made['id']}/replay", json={"since": "2026-01-01"}).json
    staff.post(f"{made['id']}/replays/{replay['id']}/stop")
    staff.delete(made["id"])

    rows = sql("SELECT action, door, operator, subject, details FROM audit ORDER BY id")
    assert [row.action for row in rows] == [
        *("create_endpoint", "change_endpoint", "rotate_secret", "test_endpoint", "replay_events", "stop_replay"),
        "delete_endpoint",
    ]
    assert {(row.door, row.operator.partition(" ")[0], row.subject) for row in rows} == {("api", "user", made["id"])}
    assert rows[1].details == {"description": "two"}
    assert rows[4].details["replay"] == replay["id"]
