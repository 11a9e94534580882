"""``checkout webhooks``: an operator finds a webhook, reads it and has it processed again."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from getpass import getuser
from threading import Thread
from time import sleep
from uuid import UUID, uuid4

import pytest
import redis
from click.testing import Result
from flask import Flask

from checkout_service.commands import watching
from checkout_service.delivery_states import DeliveryState
from checkout_service.local.servers import free_port
from checkout_service.providers.base import IgnoredReason
from checkout_service.settings.secret import Secret
from checkout_service.webhooks.selection import Choice
from tests.apps import MakeApp
from tests.conftest import Servers, Sql
from tests.webhook_bodies import insert_webhook, webhook

Run = Callable[..., Result]


def runner(app: Flask) -> Run:
    return lambda *arguments: app.test_cli_runner().invoke(args=["webhooks", *map(str, arguments)])


@pytest.fixture
def run(app: Flask) -> Run:
    return runner(app)


@pytest.fixture
def filed(sql: Sql) -> dict[str, UUID]:
    """A webhook of several states, an hour apart; the newest is ``received``."""
    states = ("failed", "rejected", "parked", "applied", "received")
    return {
        state: insert_webhook(
            sql,
            webhook("mock_pi_1"),
            state=f"'{state}'",
            received_at=f"now() - interval '{len(states) - age - 1} hours'",
            detail=f"'the detail of {state}'",
        )
        for age, state in enumerate(states)
    }


def ids_in(result: Result) -> list[UUID]:
    return [UUID(line.split()[0]) for line in result.stdout.splitlines()]


def test_list_shows_webhooks_newest_first(run: Run, filed: dict[str, UUID]) -> None:
    result = run("list")

    assert result.exit_code == 0
    assert ids_in(result) == [filed[state] for state in ("received", "applied", "parked", "rejected", "failed")]
    first = result.stdout.splitlines()[0]
    for shown in ("mock", "received", "tried 0", "next ", "the detail of received"):
        assert shown in first
    assert "next " not in result.stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("options", "states"),
    [
        (["--state", "failed"], ["failed"]),
        (["--provider", "mock", "--state", "parked"], ["parked"]),
        (["--provider", "another"], []),
        (["--since", "90m"], ["received", "applied"]),
        (["--since", "150m", "--limit", "1"], ["received"]),
        (["--limit", "2"], ["received", "applied"]),
    ],
    ids=str,
)
def test_list_is_narrowed_by_state_provider_and_age(
    run: Run, filed: dict[str, UUID], options: list[str], states: list[str]
) -> None:
    result = run("list", *options)

    assert result.exit_code == 0
    assert ids_in(result) == [filed[state] for state in states]
    assert ("No webhooks match." in result.stderr) == (not states)
    limited = "--limit" in options
    assert ("there may be more" in result.stderr) == limited


def test_list_is_narrowed_by_the_reason_why_a_webhook_is_ignored(run: Run, sql: Sql) -> None:
    by_reason = {
        reason.value: insert_webhook(sql, b"{}", state="'ignored'", detail=f"'{reason.value}: for a reason'")
        for reason in IgnoredReason
    }
    insert_webhook(sql, b"{}", state="'ignored'", detail="'says nothing that we keep'")
    insert_webhook(sql, b"{}", state="'failed'", detail="'not_ours: as it happens'")

    for reason, delivery in by_reason.items():
        for options in ([], ["--state", "ignored"]):
            result = run("list", "--ignored-for", reason, *options)
            assert ids_in(result) == [delivery]
            assert f"ignored    tried 0  {reason}: for a reason" in result.stdout
        assert ids_in(run("list", "--ignored-for", reason, "--provider", "stripe")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--ignored-for", "unknown"], "'unknown' is not one of"),
        (["list", "--ignored-for", "not_ours", "--state", "failed"], "Only what is ignored has --ignored-for"),
        (["list", "--state", "unknown"], "'unknown' is not one of"),
        (["list", "--since", "yesterday"], "no time span such as 90s, 30m, 2h or 7d"),
        (["list", "--since", "1234567d"], "no time span"),
        (["list", "--limit", "0"], "0 is not in the range"),
        (["show", "nonsense"], "'nonsense' is not a valid UUID"),
        (["process", "nonsense"], "'nonsense' is not a valid UUID"),
        (["process"], "Give the ids of webhooks"),
        (["process", "--provider", "mock"], "Give the ids of webhooks"),
        (["process", "--ignored-for", "unknown"], "'unknown' is not one of"),
        (["process", "--ignored-for", "not_ours", "--state", "failed"], "Only what is ignored has --ignored-for"),
        (["process", str(UUID(int=1)), "--ignored-for", "not_ours"], "Give ids or filters, not both"),
    ],
    ids=str,
)
def test_wrong_arguments_are_reported(run: Run, arguments: list[str], words: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_show_tells_everything_of_one_webhook(run: Run, sql: Sql) -> None:
    id_ = insert_webhook(
        sql,
        b'{"a": "\xc3\xa9"}',
        state="'failed'",
        attempts="12",
        provider_ref="'mock_pi_1'",
        detail="'no luck'",
        headers="""'{"x-request-id": "request-1"}'""",
    )
    result = run("show", id_)

    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines()[:10])
    assert lines["id"] == str(id_)
    assert (lines["provider"], lines["state"], lines["attempts"]) == ("mock", "failed", "12")
    assert (lines["provider_ref"], lines["detail"]) == ("mock_pi_1", "no luck")
    assert lines["received_at"].endswith("Z")
    assert lines["processed_at"] == "-"
    assert lines["header"] == "x-request-id: request-1"
    assert result.stdout.endswith('{\n  "a": "\\u00e9"\n}\n')


@pytest.mark.parametrize("body", [b"\x07gone", b"\xff\x00", b"[" * 100_000, b'{"a": "\x07"', b'{"a": "\\u0007"}'])
def test_show_prints_no_control_character_of_a_stranger(run: Run, sql: Sql, body: bytes) -> None:
    result = run("show", insert_webhook(sql, body, provider_ref="E'\\x07'", detail="E'\\x07'"))

    assert result.exit_code == 0
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert all(line.isprintable() for line in run("list").stdout.splitlines())


def test_show_of_an_unknown_webhook_fails_with_a_sentence(run: Run, sql: Sql) -> None:
    unknown = uuid4()
    result = run("show", unknown)

    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no webhook {unknown}.\n"


def test_process_enqueues_each_webhook_and_changes_nothing_itself(
    run: Run, filed: dict[str, UUID], servers: Servers, sql: Sql
) -> None:
    result = run("process", filed["failed"], filed["rejected"])

    assert result.exit_code == 0
    assert [UUID(line.split()[0]) for line in result.stdout.splitlines()] == [filed["failed"], filed["rejected"]]
    with redis.Redis.from_url(servers.redis_url) as broker:
        sent = [json.loads(message) for message in reversed(broker.lrange("webhooks", 0, -1))]
    assert [message["headers"]["task"] for message in sent] == ["webhooks.process"] * 2
    arguments = [json.loads(b64decode(message["body"]))[0] for message in sent]
    assert arguments == [[str(filed["failed"])], [str(filed["rejected"])]]
    assert sql("SELECT count(*) AS untouched FROM webhook_deliveries WHERE attempts = 0")[0].untouched == len(filed)


def test_each_webhook_is_a_command_of_the_operating_systems_user(run: Run, filed: dict[str, UUID], sql: Sql) -> None:
    result = run("process", filed["failed"], filed["rejected"])

    rows = sql("SELECT * FROM audit ORDER BY id")
    assert [(row.door, row.operator, row.action, row.why) for row in rows] == [
        ("cli", getuser(), "process", "from the command line")
    ] * 2
    assert [UUID(row.subject) for row in rows] == [filed["failed"], filed["rejected"]]
    assert [line.rpartition(" ")[2] for line in result.stdout.splitlines()] == [str(row.key) for row in rows]
    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["waiting"] * 2


def test_the_operator_and_the_reason_may_be_given(run: Run, filed: dict[str, UUID], sql: Sql) -> None:
    run("process", filed["failed"], "--operator", "jon \x07", "--why", "the provider is back")

    (row,) = sql("SELECT operator, why FROM audit")
    assert (row.operator, row.why) == ("'jon \\x07'", "the provider is back")


@pytest.mark.parametrize("state", ["applied", "parked"])
def test_what_is_left_as_it_is_or_only_counted_is_no_command(
    run: Run, filed: dict[str, UUID], sql: Sql, state: str
) -> None:
    run("process", filed[state])
    run("process", filed["failed"], "--dry-run")
    run("process", "--state", "failed", "--dry-run")
    run("process", "--state", "duplicate")

    assert sql("SELECT * FROM audit") == []


def test_all_of_a_state_are_one_command_and_who_watches_leaves_when_no_worker_comes(
    run: Run, filed: dict[str, UUID], sql: Sql, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.6)
    result = run("process", "--state", "failed", "--since", "7d", "--why", "mended")

    (row,) = sql("SELECT * FROM audit")
    assert (row.door, row.action, row.subject, row.why, row.details["counted"]) == (
        "cli",
        "process_all",
        "",
        "mended",
        1,
    )
    choice = Choice.from_details(row.details["choice"])
    assert choice.state is DeliveryState.FAILED
    assert choice.came_from is not None
    assert abs(datetime.now(UTC) - timedelta(days=7) - choice.came_from) < timedelta(minutes=1)
    assert result.exit_code == 1
    assert f"No worker came to it within 1 s: 0 webhooks of 1 processed. Command {row.id} is kept" in result.stderr
    with redis.Redis.from_url(servers.redis_url) as broker:
        assert broker.llen("webhooks") == 2, "a message, and one more where the first was lost"


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        (["--ignored-for", "not_ours"], {"state": "ignored", "reason": "not_ours"}),
        (["--ignored-for", "not_ours", "--state", "ignored"], {"state": "ignored", "reason": "not_ours"}),
        (["--ignored-for", "not_ours", "--provider", "stripe"], None),
        (["--state", "ignored"], {"state": "ignored"}),
    ],
    ids=str,
)
def test_all_that_is_ignored_for_a_reason_is_one_command(
    run: Run, sql: Sql, monkeypatch: pytest.MonkeyPatch, options: list[str], choice: dict[str, str] | None
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.2)
    for detail in (
        "not_ours: of another",
        "not_ours: for want of an account",
        "nothing_to_record: says nothing",
        "old",
    ):
        insert_webhook(sql, b"{}", state="'ignored'", detail=f"'{detail}'")
    count = 0 if choice is None else 2 if "reason" in choice else 4

    assert run("process", *options, "--dry-run").stdout == (f"{count} webhooks would be processed.\n")
    assert sql("SELECT FROM audit") == []
    run("process", *options)

    assert [row.details for row in sql("SELECT details FROM audit")] == (
        [] if choice is None else [{"choice": choice, "counted": count}]
    )


def test_process_of_an_unknown_webhook_enqueues_none(run: Run, filed: dict[str, UUID], servers: Servers) -> None:
    unknown = uuid4()
    result = run("process", filed["failed"], unknown)

    assert result.exit_code == 1
    assert f"There is no webhook {unknown}." in result.stderr
    with redis.Redis.from_url(servers.redis_url) as broker:
        assert broker.llen("webhooks") == 0


def test_process_without_a_broker_fails_with_a_sentence(make_app: MakeApp, filed: dict[str, UUID], sql: Sql) -> None:
    result = runner(make_app(broker_url=Secret(f"redis://127.0.0.1:{free_port()}/0")))("process", filed["failed"])

    assert result.exit_code == 1
    assert "The broker does not answer" in result.stderr
    assert "Your command is kept" in result.stderr
    assert "Traceback" not in result.stderr
    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["waiting"]


def test_process_without_a_broker_keeps_a_command_for_each_id(
    make_app: MakeApp, filed: dict[str, UUID], sql: Sql
) -> None:
    """The sentence says that the command is kept, so none of it may be left out."""
    run = runner(make_app(broker_url=Secret(f"redis://127.0.0.1:{free_port()}/0")))

    result = run("process", filed["failed"], filed["rejected"])

    assert result.exit_code == 1
    assert "Your command is kept" in result.stderr
    subjects = [UUID(row.subject) for row in sql("SELECT subject FROM audit ORDER BY id")]
    assert subjects == [filed["failed"], filed["rejected"]]


def test_words_that_are_no_text_are_kept_as_they_can_be(run: Run, filed: dict[str, UUID], sql: Sql) -> None:
    """Bytes of a terminal that are no UTF-8 are lone surrogates in Python, which the database does not take."""
    result = run("process", filed["failed"], "--why", "m\udcfcde,\nsays Ada")

    assert result.exit_code == 0
    assert sql("SELECT why FROM audit")[0].why == "m\\udcfcde,\nsays Ada"


def test_a_command_that_was_refused_is_no_success(run: Run, sql: Sql) -> None:
    insert_webhook(sql, b"{}", state="'failed'")

    def refuse() -> None:
        while not sql("UPDATE command_runs SET state = 'refused', message = 'it broke' RETURNING id"):
            sleep(0.01)

    worker = Thread(target=refuse, daemon=True)
    worker.start()
    result = run("process", "--state", "failed")
    worker.join(timeout=30)

    assert result.exit_code == 1
    assert "was refused: it broke." in result.stderr


@pytest.mark.parametrize("arguments", [["list"], ["show", UUID(int=1)], ["process", UUID(int=1)]], ids=str)
def test_without_the_database_each_command_fails_with_a_sentence(make_app: MakeApp, arguments: list[object]) -> None:
    app = make_app(database_url=Secret(f"postgresql+psycopg://web@127.0.0.1:{free_port()}/shop"))
    result = runner(app)(*arguments)

    assert result.exit_code == 1
    assert "The database does not answer" in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"state": "'duplicate'"}, "duplicate already"),
        ({"state": "'applied'"}, "applied already"),
        ({"state": "'parked'", "next_attempt_at": "now() + interval '1 hour'"}, "parked, and next tried at "),
        ({"attempts": "1", "next_attempt_at": "now() + interval '1 hour'"}, "received, and next tried at "),
    ],
)
def test_a_webhook_that_no_task_would_take_is_not_stated_to_be_enqueued(
    run: Run, sql: Sql, columns: dict[str, str], words: str
) -> None:
    left, taken = insert_webhook(sql, b"{}", **columns), insert_webhook(sql, b"{}", state="'failed'")

    lines = run("process", left, taken).stdout.splitlines()

    assert lines[0].startswith(f"{left} left as it is: {words}")
    assert lines[1].startswith(f"{taken} enqueued as task ")


def test_a_few_of_one_state_are_found_behind_many_that_are_due_before(run: Run, sql: Sql) -> None:
    """Those pending are read in the order in which they are due, and all of them are looked at."""
    sql("""INSERT INTO webhook_deliveries (provider, body, state, next_attempt_at)
        SELECT 'mock', '', 'parked', now() - interval '1 hour' FROM generate_series(1, 600)""")
    received = insert_webhook(sql, webhook("mock_pi_1"), next_attempt_at="now() + interval '1 hour'")
    newest = insert_webhook(sql, webhook("mock_pi_2"), state="'parked'", next_attempt_at="now() + interval '2 hours'")

    assert ids_in(run("list", "--state", "received")) == [received]
    assert ids_in(run("list", "--state", "parked", "--limit", "1")) == [newest]
