"""``checkout webhook-endpoints`` does what the API does, and prints a secret alone on its last line."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

from click.testing import Result
from flask import Flask

from checkout_service.doctor.endpoints import check_endpoints
from checkout_service.doctor.findings import Level
from checkout_service.endpoints.secrets import open_secret
from tests.apps import MakeApp, make_app
from tests.conftest import Sql
from tests.endpoints.conftest import KEYS, URL, Staff, WriteAttempt, WritePending
from tests.events.rows import insert_event

__all__ = ["make_app"]  # fixtures


def run(app: Flask, *arguments: Any) -> Result:
    who = () if arguments[0] in {"list", "show"} else ("--operator", "mira")
    return app.test_cli_runner().invoke(args=["webhook-endpoints", *map(str, arguments), *who])


def done(app: Flask, *arguments: Any) -> str:
    result = run(app, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_secret_stands_alone_on_the_last_line(app: Flask, sql: Sql) -> None:
    secret = done(app, "create", "--url", URL, "--type", "payment.paid", "--description", "warehouse").rstrip("\n")

    (row,) = sql("SELECT url, types, description FROM webhook_endpoints")
    assert tuple(row) == (URL, ["payment.paid"], "warehouse")
    (kept,) = sql("SELECT ciphertext, endpoint_id FROM endpoint_secrets")
    assert secret == "whsec_" + base64.b64encode(open_secret(kept.ciphertext, KEYS)).decode()
    rotated = done(app, "rotate", kept.endpoint_id, "--old-for", "10m").rstrip("\n")
    assert rotated.startswith("whsec_")
    assert rotated != secret
    assert (
        sql("SELECT count(*) AS n FROM endpoint_secrets WHERE ends_at BETWEEN now() AND now() + interval '10m'")[0].n
        == 1
    )
    rows = sql("SELECT action, door, operator FROM audit ORDER BY id")
    assert [tuple(row) for row in rows] == [("create_endpoint", "cli", "mira"), ("rotate_secret", "cli", "mira")]


def test_what_is_refused_ends_with_a_sentence_and_does_nothing(app: Flask, make_app: MakeApp, sql: Sql) -> None:
    for given, words in (
        (("create", "--url", "https://10.0.0.1/"), "is not a public address"),
        (("create", "--url", URL, "--type", "payment.pending"), "There are:"),
        (("rotate", uuid4()), "no such webhook endpoint"),
        (("rotate", uuid4(), "--old-for", "8d"), "up to 7d"),
        (("test", uuid4()), "no such webhook endpoint"),
        (("delete", uuid4()), "no such webhook endpoint"),
        (("replay", uuid4()), "one of --since and --event"),
        (("replay", uuid4(), "--since", "soon"), "how long ago"),
        (("replay", uuid4(), "--since", "2h"), "no such webhook endpoint"),
    ):
        result = run(app, *given)
        assert result.exit_code != 0
        assert words in result.output, result.output
    assert "WEBHOOK_SECRETS_KEY" in run(make_app(webhook_secrets_keys=()), "create", "--url", URL).output
    assert sql("SELECT (SELECT count(*) FROM webhook_endpoints) + (SELECT count(*) FROM audit) AS n")[0].n == 0


def test_it_lists_shows_tests_replays_stops_disables_enables_and_deletes(
    app: Flask, staff: Staff, sql: Sql, pending: WritePending, attempt: WriteAttempt
) -> None:
    insert_event(sql)
    made = staff.make()["id"]
    sql("UPDATE webhook_endpoints SET description = :text", text="\u202eevil")
    event = pending(made)
    attempt(made, event, status=None)
    assert made in done(app, "list")
    shown = done(app, "show", made)
    assert str(event) in shown
    assert "timeout" in shown
    assert "\u202e" not in shown
    assert "is on its way" in done(app, "test", made)
    assert "1 event would be sent" in done(app, "replay", made, "--since", "2h", "--dry-run")
    assert sql("SELECT count(*) AS n FROM event_replays")[0].n == 0
    replay = UUID(done(app, "replay", made, "--since", "2h", "--type", "payment.paid").split()[1].rstrip(":"))
    assert "stops" in done(app, "stop-replay", made, replay)
    assert sql("SELECT stop_requested_at FROM event_replays")[0].stop_requested_at
    done(app, "disable", made)
    assert staff.get(made).json["state_reason"] == "requested"
    done(app, "enable", made)
    assert staff.get(made).json["state"] == "enabled"
    done(app, "delete", made)
    assert staff.get(made).status_code == 404


def test_it_shows_what_is_next_of_each_delivery_and_no_name_of_a_programming_language(
    app: Flask, staff: Staff, sql: Sql, pending: WritePending, attempt: WriteAttempt
) -> None:
    made = staff.make()["id"]
    first, second = pending(made), pending(made, seq=2)
    attempt(made, first, status=500)
    sql("UPDATE pending_deliveries SET attempts = 0, next_attempt_at = NULL WHERE event_id = :id", id=second)

    def lines() -> dict[UUID, str]:
        shown = done(app, "show", made)
        assert "None" not in shown
        return {each: line for line in shown.splitlines() for each in (first, second) if str(each) in line}

    assert "attempt 1: 500, next 20" in lines()[first]
    assert lines()[second].endswith("not tried, behind another of its lane")
    done(app, "disable", made)
    assert lines()[first].endswith("attempt 1: 500")
    assert lines()[second].endswith("not tried")


def test_the_doctor_names_a_missing_key_and_endpoints_that_get_nothing(
    app: Flask, make_app: MakeApp, staff: Staff, sql: Sql
) -> None:
    def findings(of: Flask) -> list[tuple[Level, str]]:
        with of.app_context():
            return [(each.level, each.result) for each in check_endpoints()]

    without = make_app(webhook_secrets_keys=())
    assert findings(without)[0] == (Level.ADVICE, "WEBHOOK_SECRETS_KEY is not set")
    assert findings(app) == [(Level.OK, "can be kept"), (Level.OK, "0, all enabled")]
    ids = [staff.make()["id"] for _ in range(3)]
    assert findings(without)[0][0] is Level.WRONG
    sql("UPDATE webhook_endpoints SET state = 'suspended', state_reason = 'failing' WHERE id = :id", id=ids[0])
    sql("UPDATE webhook_endpoints SET lagging_since = now() WHERE id = :id", id=ids[0])
    staff.patch(ids[1], state="disabled")
    assert findings(app)[1:] == [
        (Level.WRONG, f"{ids[0]} lag"),
        (Level.ADVICE, f"{ids[0]} suspended"),
        (Level.ADVICE, f"{ids[1]} disabled"),
    ]
