"""Commands of operators: once for each form, with its token alone, kept in the audit, carried out by the worker."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from flask import Flask

from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin, erase
from checkout_service.local.servers import free_port
from checkout_service.pages import forms
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, make_app
from tests.conftest import Servers, Sql
from tests.console.conftest import InWorker, Operator, basic, console_settings, file_webhooks
from tests.money import fold
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from worker.commands import run_commands
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

__all__ = ["make_app"]  # fixtures

Messages = Callable[[], list[tuple[str, tuple[str, ...]]]]


@pytest.fixture
def messages(servers: Servers) -> Messages:
    """What was put on the queues: a task's name and its arguments, the oldest first."""
    broker = redis.Redis.from_url(servers.redis_url)

    def waiting() -> list[tuple[str, tuple[str, ...]]]:
        found = []
        for queue in ("webhooks", "payments"):
            sent = [json.loads(message)["headers"] for message in broker.lrange(queue, 0, -1)]
            found += [(headers["task"], ast.literal_eval(headers["argsrepr"])) for headers in reversed(sent)]
        return found

    return waiting


@pytest.fixture
def failed(sql: Sql) -> UUID:
    """A webhook given up, whose cause is gone; its payment is pending."""
    body = webhook(insert_payment(sql), event_id="evt_1")
    return insert_webhook(sql, body, state="'failed'", attempts="12", processed_at="now()")


@pytest.fixture
def flagged(sql: Sql) -> UUID:
    insert_payment(sql)
    payment_id: UUID = sql("SELECT id FROM payments")[0].id
    notice(sql, payment_id, "fraud_warning")
    return payment_id


def notice(sql: Sql, payment_id: UUID, reason: str) -> None:
    """A reason that no signed data decides, and the fold."""
    sql("INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, :reason, '')", id=payment_id, reason=reason)
    fold(sql, payment_id)


def message(delivery_id: UUID, key: UUID | None) -> str:
    """Run the task as its message would: with the command's key as its id, or as a wake-up."""
    process.push_request(id=None if key is None else str(key), quiet=key is None)
    try:
        return str(process.run(str(delivery_id)))
    finally:
        process.pop_request()


def audit(sql: Sql) -> list[Any]:
    return sql("SELECT * FROM audit ORDER BY id")


def test_process_enqueues_the_webhooks_own_task_and_is_audited(
    operator: Operator, sql: Sql, failed: UUID, messages: Messages, in_worker: InWorker
) -> None:
    page, action = f"/ops/webhooks/{failed}", f"/ops/webhooks/{failed}/process"
    answer = operator.send(page, action, why="the trigger is gone")

    assert answer.status_code == 303
    assert answer.location.startswith(f"{page}?task=")
    assert messages() == [("webhooks.process", (str(failed),))]
    assert state_of(sql, failed) == "failed", "the web tier moves no webhook"
    (command,) = audit(sql)
    assert (command.door, command.operator, command.action, command.subject, command.why) == (
        "console",
        "mira",
        "process",
        str(failed),
        "the trigger is gone",
    )

    in_worker(message, failed, command.key)
    assert state_of(sql, failed) == "applied"
    assert len(audit(sql)) == 1, "the task found its command"
    shown = operator.get(answer.location).text
    assert "the trigger is gone" in shown
    assert "The webhook is applied; its task was" in shown
    assert f"http://127.0.0.1:5555/task/{answer.location.partition('task=')[2]}" in shown


def test_a_form_sent_twice_is_one_command(operator: Operator, sql: Sql, failed: UUID, flagged: UUID) -> None:
    forms_of = {
        f"/ops/webhooks/{failed}/process": f"/ops/webhooks/{failed}",
        f"/ops/payments/{flagged}/look-up": f"/ops/payments/{flagged}",
        f"/ops/payments/{flagged}/review": f"/ops/payments/{flagged}",
        "/ops/webhooks/process-all": "/ops/webhooks/process-all?state=failed",
    }
    for action, page in forms_of.items():
        filled = operator.form(page, action) | {"why": "once"}
        first, second = operator.post(action, filled), operator.post(action, filled)
        assert first.status_code == second.status_code == 303
        assert first.location.partition("?")[0] == second.location.partition("?")[0]
    assert sorted(row.action for row in audit(sql)) == ["look_up", "process", "process_all", "review"]


def test_a_key_of_another_command_is_refused(operator: Operator, sql: Sql, failed: UUID, flagged: UUID) -> None:
    page, action = f"/ops/webhooks/{failed}", f"/ops/webhooks/{failed}/process"
    filled = operator.form(page, action)
    operator.post(action, filled)

    answer = operator.post(f"/ops/payments/{flagged}/look-up", filled)

    assert answer.status_code == 409
    other = Operator(client=operator.client, headers=basic("jon", "another password, for another one"))
    token = other.form(page, action)["csrf"]
    assert other.post(action, filled | {"csrf": token}).status_code == 409
    assert len(audit(sql)) == 1


POSTS = (
    "webhooks/{failed}/process",
    "webhooks/process-all",
    "commands/{command}/stop",
    "payments/{flagged}/look-up",
    "payments/{flagged}/review",
)


@pytest.mark.parametrize("wrong", ["token", "no token", "another's token", "another site", "no key", "a bad key"])
@pytest.mark.parametrize("path", POSTS)
def test_a_form_that_is_not_ours_does_nothing(
    console_app: Flask,
    operator: Operator,
    sql: Sql,
    failed: UUID,
    flagged: UUID,
    messages: Messages,
    path: str,
    wrong: str,
) -> None:
    (command,) = sql("""INSERT INTO audit (key, door, operator, action, subject, why, details)
        VALUES (uuidv7(), 'console', 'jon', 'process_all', '', '', '{"choice": {"state": "failed"}, "counted": 1}')
        RETURNING id""")
    with console_app.app_context():
        good, others = forms.token("console:mira"), forms.token("console:jon")
    filled = {"csrf": good, "key": str(uuid4()), "why": "because", "state": "failed", "reason": "mismatch"}
    headers = {}
    match wrong:
        case "token":
            filled["csrf"] = good[:-1] + ("0" if good[-1] != "0" else "1")
        case "no token":
            del filled["csrf"]
        case "another's token":
            filled["csrf"] = others
        case "another site":
            headers = {"Sec-Fetch-Site": "cross-site"}
        case "no key":
            del filled["key"]
        case "a bad key":
            filled["key"] = "nonsense"
    address = "/ops/" + path.format(failed=failed, flagged=flagged, command=command.id)
    answer = operator.post(address, filled, headers=headers)

    assert answer.status_code == (400 if "key" in wrong else 403)
    assert len(audit(sql)) == 1
    assert messages() == []
    assert state_of(sql, failed) == "failed"
    assert operator.get(address).status_code == (200 if path.endswith("process-all") else 405)


@pytest.mark.parametrize(
    "path", ["webhooks/{}/process", "payments/{}/look-up", "payments/{}/review", "commands/{}/stop"]
)
def test_a_command_about_nothing_is_not_found(
    console_app: Flask, operator: Operator, sql: Sql, messages: Messages, path: str
) -> None:
    with console_app.app_context():
        token = forms.token("console:mira")
    filled = {"csrf": token, "key": str(uuid4()), "why": "because", "reason": "mismatch"}

    assert operator.post("/ops/" + path.format(uuid4()), filled).status_code == 404
    assert audit(sql) == []
    assert messages() == []


def test_a_webhook_that_was_erased_is_shown_and_processed_no_more(
    operator: Operator, sql: Sql, failed: UUID, messages: Messages
) -> None:
    filled = operator.form(f"/ops/webhooks/{failed}", f"/ops/webhooks/{failed}/process")
    sql("UPDATE webhook_deliveries SET body = NULL, headers = '{}', erased_at = now() WHERE id = :id", id=failed)
    shown = operator.get(f"/ops/webhooks/{failed}")
    answer = operator.post(f"/ops/webhooks/{failed}/process", filled)

    assert shown.status_code == 200
    assert "Headers and body were erased" in shown.text
    assert operator.get("/ops/webhooks").status_code == 200
    assert (answer.status_code, "was erased" in answer.text) == (409, True)
    assert audit(sql) == []
    assert messages() == []


@pytest.mark.parametrize("why", ["", "  ", "x" * 2001])
def test_review_and_process_all_need_a_note_of_bounded_length(
    operator: Operator, sql: Sql, failed: UUID, flagged: UUID, why: str
) -> None:
    for page, action in (
        (f"/ops/payments/{flagged}", f"/ops/payments/{flagged}/review"),
        ("/ops/webhooks/process-all?state=failed", "/ops/webhooks/process-all"),
    ):
        assert operator.send(page, action, why=why).status_code == 400
    assert audit(sql) == []


def test_a_reviewed_flag_is_taken_off_by_the_worker_with_its_note(
    operator: Operator, sql: Sql, flagged: UUID, in_worker: InWorker, messages: Messages
) -> None:
    page, action = f"/ops/payments/{flagged}", f"/ops/payments/{flagged}/review"
    assert operator.send(page, action, why="agreed with the customer").status_code == 303

    assert messages() == [("commands.run", ())]
    assert sql("SELECT review_reason FROM payments")[0].review_reason == "fraud_warning", (
        "the web tier moves no payment"
    )
    assert "waits for a worker" in operator.get(page).text
    before = sql("SELECT status, amount, next_look_up_at FROM payments")
    in_worker(run_commands)

    assert sql("SELECT review_reason FROM payments")[0].review_reason is None
    assert sql("SELECT status, amount, next_look_up_at FROM payments") == before
    shown = operator.get(page).text
    assert "fraud_warning was seen" in shown
    assert "agreed with the customer" in shown
    assert f'action="{action}"' not in shown
    in_worker(run_commands)
    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["done"]


def test_a_flag_that_changed_meanwhile_stays(operator: Operator, sql: Sql, flagged: UUID, in_worker: InWorker) -> None:
    operator.send(f"/ops/payments/{flagged}", f"/ops/payments/{flagged}/review", why="seen")
    notice(sql, flagged, "recaptured")

    in_worker(run_commands)

    assert sql("SELECT review_reason FROM payments")[0].review_reason == "fraud_warning, recaptured"
    assert "the payment moved since" in operator.get(f"/ops/payments/{flagged}").text


def test_a_payment_is_looked_up_by_the_worker(operator: Operator, sql: Sql, in_worker: InWorker) -> None:
    reference = insert_payment(sql)
    (payment,) = sql("SELECT id, next_look_up_at FROM payments")
    page = f"/ops/payments/{payment.id}"
    assert operator.send(page, f"{page}/look-up").status_code == 303
    assert sql("SELECT look_up_log FROM payments")[0].look_up_log == [], "the web tier calls no provider"

    in_worker(run_commands)

    (questions,) = sql("SELECT look_up_log, look_ups, next_look_up_at FROM payments")
    assert [question["question"] for question in questions.look_up_log] == ["look-up"]
    assert (questions.look_ups, questions.next_look_up_at) == (0, payment.next_look_up_at), (
        "the usual look-ups stay as they were"
    )
    (run,) = sql("SELECT * FROM command_runs")
    assert (run.state, run.message) == ("done", questions.look_up_log[0]["answer"])
    assert status_of(sql, reference) == "pending"
    assert run.message in operator.get(page).text


def test_without_the_broker_a_command_is_kept_and_done_later(
    make_app: MakeApp,
    settings: Any,
    sql: Sql,
    failed: UUID,
    flagged: UUID,
    in_worker: InWorker,
    messages: Messages,
) -> None:
    given = console_settings(settings)
    broken = make_app(
        console=True, console_users=given.console_users, broker_url=Secret(f"redis://127.0.0.1:{free_port()}/0")
    )
    operator = Operator(client=broken.test_client())
    answer = operator.send(f"/ops/webhooks/{failed}", f"/ops/webhooks/{failed}/process")
    assert answer.status_code == 503
    assert "The broker does not answer" in answer.text

    # What the worker finds in the audit needs no message.
    assert operator.send(f"/ops/payments/{flagged}", f"/ops/payments/{flagged}/review", why="seen").status_code == 303
    in_worker(run_commands)
    assert sql("SELECT review_reason FROM payments WHERE id = :id", id=flagged)[0].review_reason is None
    assert [row.action for row in audit(sql)] == ["process", "review"]

    in_worker(run_commands)
    assert sql("SELECT replay_of FROM webhook_deliveries")[0].replay_of is None, "its message may be on its way"
    sql("UPDATE command_runs SET leased_until = now(), created_at = now() - interval '1 minute'")
    sql("ALTER TABLE audit DISABLE TRIGGER audit_guard")
    sql("UPDATE audit SET created_at = now() - interval '1 minute'")
    sql("ALTER TABLE audit ENABLE TRIGGER audit_guard")
    in_worker(run_commands)
    sql("UPDATE webhook_deliveries SET updated_at = now() - interval '1 minute'")
    in_worker(sweep)
    assert messages() == [("webhooks.process", (str(failed),))]
    in_worker(message, failed, None)
    assert state_of(sql, failed) == "applied"
    assert len(audit(sql)) == 2
    states = sql("SELECT run.state FROM command_runs AS run JOIN audit USING (id) WHERE action = 'process'")
    assert [row.state for row in states] == ["done"]


def test_without_the_database_every_page_says_so(make_app: MakeApp, settings: Any) -> None:
    given = console_settings(settings)
    away = Secret(f"postgresql+psycopg://web@127.0.0.1:{free_port()}/shop")
    app = make_app(console=True, console_users=given.console_users, database_url=away)
    operator = Operator(client=app.test_client())
    for path in (
        "/ops",
        "/ops/webhooks",
        f"/ops/webhooks/{uuid4()}",
        "/ops/payments",
        f"/ops/payments/{uuid4()}",
        "/ops/audit",
    ):
        page = operator.get(path)
        assert page.status_code == 503, path
        assert "The database is unavailable" in page.text
        assert "try again" in page.text
        assert "Retry-After" in page.headers


def test_the_audit_shows_who_did_what_and_why(operator: Operator, sql: Sql, failed: UUID) -> None:
    for number in range(52):
        sql(
            """INSERT INTO audit (key, door, operator, action, subject, why)
            VALUES (uuidv7(), 'console', :who, 'process', :subject, :why)""",
            who="<b>jon</b>",
            subject=str(failed),
            why=f"reason {number}<script>\u202e",
        )
    page = operator.get("/ops/audit")
    assert "&lt;b&gt;jon&lt;/b&gt;" in page.text
    assert "reason 51&lt;script&gt;\\u202e" in page.text
    assert "<script>\u202e" not in page.text
    assert "reason 1&lt;" not in page.text
    following = operator.get(
        f"/ops/audit?before={sql('SELECT id FROM audit ORDER BY id DESC OFFSET 49 LIMIT 1')[0].id}"
    )
    assert "reason 1&lt;" in following.text
    assert "reason 2&lt;" not in following.text


def test_webhooks_of_a_state_that_cannot_be_processed_together_are_refused(operator: Operator, sql: Sql) -> None:
    file_webhooks(sql, 3, state="'applied'", mismatch="true")
    page = operator.get("/ops/webhooks/process-all?state=lost")
    assert (page.status_code, '<form method="post"' in page.text) == (400, False)
    for query in ("", "?state=applied", "?state=duplicate", "?state=pending"):
        page = operator.get(f"/ops/webhooks/process-all{query}")
        assert page.status_code == 200
        assert "Not with these filters" in page.text
        assert '<form method="post"' not in page.text


def test_a_person_who_is_being_erased_stands_on_the_overview_and_in_the_audit(
    console_app: Flask, operator: Operator
) -> None:
    person = uuid4()
    with console_app.app_context():
        erase(person, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="request 4711"))
    overview, written = operator.get("/ops"), operator.get("/ops/audit")

    assert 'href="/ops/audit">Erase a person</a> is under way' in overview.text
    assert f"user {str(person)[:8]}" in written.text or str(person)[-8:] in written.text
