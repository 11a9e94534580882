"""Erasing a person: what names them goes, the money stays, and whatever ends it, it goes on."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin, erase
from checkout_service.privacy.export import held_of
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.purchases import fill_cart, opened
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, webhook
from tests.worker.conftest import worker
from worker.commands import run_commands
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

__all__ = ["worker"]  # fixtures

NAME = "Ada Lovelace"
"""Of the person; it stands in all that may hold a name."""


@pytest.fixture
def person(customer: Customer, make_listing: MakeListing, sql: Sql, worker_app: Flask) -> Customer:
    """Somebody who has paid, was given money back, and has begun to fill a cart again."""
    listing = make_listing()
    cart = fill_cart(customer, (listing, 1))
    answer = opened(customer, cart)
    reference = _reference(sql, customer)
    delivery = post_webhook(customer.client, webhook(reference, amount="40.00", name=NAME))
    with worker_app.app_context():
        process(str(delivery))
    (payment,) = sql("SELECT status::text, user_id FROM payments WHERE id = :id", id=answer["payment_id"])
    assert (payment.status, payment.user_id) == ("paid", customer.id)
    insert_webhook(
        sql, webhook(reference, name=NAME, event_id="f"), state="'failed'", provider_ref=f"'{reference}'", detail="'x'"
    )
    insert_webhook(
        sql,
        webhook(reference, name=NAME, secret="another"),
        state="'rejected'",
        rejected_payment=f"'{answer['payment_id']}'",
    )
    sql(
        """INSERT INTO payment_notices (payment_id, reason, ref, detail) VALUES (:id, 'foreign_money', '', :name)""",
        id=answer["payment_id"],
        name=NAME,
    )
    sql(
        "UPDATE payments SET look_up_log = jsonb_build_array(jsonb_build_object('answer', CAST(:name AS text)))",
        name=NAME,
    )
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])", id=answer["payment_id"])
    fill_cart(customer, (make_listing(), 2))
    return customer


def _reference(sql: Sql, customer: Customer) -> str:
    return sql("SELECT provider_ref FROM payments WHERE user_id = :id", id=customer.id)[0].provider_ref


def _begin(app: Flask, person: Customer) -> UUID:
    with app.app_context():
        return erase(person.id, origin=Origin(key=uuid4(), door=Door.CLI, operator="ops", why="asked for in writing"))


def _carry_out(worker_app: Flask) -> None:
    with worker_app.app_context():
        run_commands()


def _run(sql: Sql, command: UUID) -> Any:
    return sql("SELECT state, message FROM command_runs WHERE id = :id", id=command)[0]


def everything(sql: Sql, only: str | None = None) -> str:
    """All rows of all tables but the audit, or those of one table, as text."""
    found = []
    for (table,) in sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        if table not in {"audit", "alembic_version"} and only in {None, table}:
            found += [
                str(row.row)
                + (bytes.fromhex(body[2:]).decode() if (body := row.row.get("body") or "").startswith("\\x") else "")
                for row in sql(f"SELECT to_jsonb(t) AS row FROM {table} AS t")
            ]
    return "\n".join(found)


def _money(sql: Sql) -> list[Any]:
    query = """SELECT id, amount, currency, status, provider, provider_ref, amount_captured, amount_refunded, version
        FROM payments ORDER BY id"""
    entries = [
        sql(f"SELECT id, payment_id, status::text FROM {table} ORDER BY id")
        for table in ("payment_attempts", "captures")
    ]
    return [*map(tuple, sql(query)), *[tuple(row) for rows in entries for row in rows]]


def test_nothing_names_the_person_and_the_money_stays(
    sql: Sql, app: Flask, worker_app: Flask, person: Customer
) -> None:
    before = _money(sql)
    assert NAME in everything(sql)
    command = _begin(app, person)
    _carry_out(worker_app)

    assert _run(sql, command).state == "done", _run(sql, command)
    left = everything(sql)
    assert NAME not in left
    assert str(person.id) not in left
    assert _money(sql) == before
    assert sql("SELECT FROM cart_items") == []
    (payment,) = sql("SELECT user_id, raw_payload, look_up_log FROM payments")
    assert payment.raw_payload is None
    assert payment.look_up_log == []
    assert payment.user_id.version == 4, "which would tell no time"
    webhooks = sql("SELECT state, body, headers, erased_at FROM webhook_deliveries ORDER BY state")
    assert [row.state for row in webhooks] == ["applied", "failed", "rejected"]
    assert all((row.body, row.headers) == (None, {}) and row.erased_at for row in webhooks)
    (erasure,) = sql("SELECT subject, erased FROM erasures")
    assert erasure.subject is None, "whose payments those are is forgotten"
    assert erasure.erased > 5


def test_a_webhook_of_a_namesake_at_another_provider_stays_and_is_not_shown(
    sql: Sql, app: Flask, worker_app: Flask, person: Customer
) -> None:
    """Its payment is another person's; one that is parked there does not keep anybody from being erased."""
    reference = _reference(sql, person)
    insert_payment(sql, provider="stripe", provider_ref=reference)
    others = [
        sql(
            f"""INSERT INTO webhook_deliveries (provider, body, state, provider_ref, names, detail, next_attempt_at)
            VALUES ('stripe', 'their bytes', '{state}', :ref, ARRAY[:ref], 'theirs', {due}) RETURNING id""",
            ref=reference,
        )[0].id
        for state, due in (("parked", "now() + interval '1 day'"), ("failed", "NULL"), ("ignored", "NULL"))
    ]
    with app.app_context():
        held = [row["id"] for row in held_of(person.id) if row["kind"] == "webhook"]
    assert held
    assert not set(map(str, others)) & set(held)

    command = _begin(app, person)
    _carry_out(worker_app)

    assert _run(sql, command).state == "done", _run(sql, command)
    left = sql("SELECT body, detail, erased_at FROM webhook_deliveries WHERE provider = 'stripe'")
    assert [(bytes(row.body), row.detail, row.erased_at) for row in left] == [(b"their bytes", "theirs", None)] * 3
    assert sql("SELECT FROM payments WHERE provider = 'stripe' AND user_id <> :id", id=person.id)


def test_the_invariants_hold_after_it(sql: Sql, app: Flask, worker_app: Flask, person: Customer) -> None:
    _begin(app, person)
    _carry_out(worker_app)

    checked = app.test_cli_runner().invoke(args=["payments", "check"])
    assert checked.exit_code == 0, checked.output


def test_the_same_token_is_a_new_customer(
    sql: Sql, app: Flask, worker_app: Flask, person: Customer, make_listing: MakeListing
) -> None:
    _begin(app, person)
    _carry_out(worker_app)

    assert person.get("/api/payments").json["data"] == []
    assert person.get("/api/cart").json["items"] == []
    cart = fill_cart(person, (make_listing(), 1))
    assert opened(person, cart, "another-key")["status"] == "pending"


def test_a_second_time_finds_nothing_left(sql: Sql, app: Flask, worker_app: Flask, person: Customer) -> None:
    _begin(app, person)
    _carry_out(worker_app)
    before = everything(sql)
    again = _begin(app, person)
    _carry_out(worker_app)

    assert tuple(_run(sql, again)) == ("done", "nothing was held of this person")
    users = sql("SELECT count(*) FROM users")[0].count
    assert users == 1
    assert len(everything(sql)) > len(before), "the command itself"


def test_it_is_refused_while_a_payment_is_under_way(
    sql: Sql, app: Flask, worker_app: Flask, customer: Customer, make_listing: MakeListing
) -> None:
    opened(customer, fill_cart(customer, (make_listing(), 1)))
    before = _money(sql)
    command = _begin(app, customer)
    _carry_out(worker_app)

    assert _run(sql, command).state == "refused"
    assert _money(sql) == before
    assert sql("SELECT user_id FROM payments")[0].user_id == customer.id
    assert sql("SELECT FROM erasures") == []
    assert len(sql("SELECT FROM cart_items")) == 1


def test_what_somebody_holds_is_left_to_a_later_step_and_nobody_is_waited_for(
    sql: Sql, app: Flask, worker_app: Flask, superuser: Engine, person: Customer
) -> None:
    command = _begin(app, person)
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as operator:
        operator.execute(text("SELECT FROM webhook_deliveries WHERE state = 'applied' FOR UPDATE"))
        operator.execute(text("SELECT FROM payments FOR UPDATE"))
        _carry_out(worker_app)
        assert _run(sql, command).state == "running"
        assert sql("SELECT user_id FROM payments")[0].user_id == person.id, "all else is found by it"
    sql("UPDATE command_runs SET leased_until = now() WHERE id = :id", id=command)
    _carry_out(worker_app)

    assert _run(sql, command).state == "done"
    assert str(person.id) not in everything(sql)


@pytest.mark.parametrize(
    "held",
    [
        "SELECT FROM webhook_deliveries WHERE state = 'rejected' FOR UPDATE",
        "SELECT FROM webhook_deliveries WHERE state = 'failed' FOR UPDATE",
        "SELECT FROM payment_notices FOR UPDATE",
        "SELECT FROM cancel_requests FOR UPDATE",
        "UPDATE webhook_deliveries SET replay_of = uuidv7(), state = 'received' WHERE state = 'rejected'",
    ],
)
def test_payments_wait_for_whatever_is_found_by_them(
    sql: Sql, app: Flask, worker_app: Flask, superuser: Engine, person: Customer, held: str
) -> None:
    """Once they stand under another subject, nobody finds it any more."""
    sql(
        """INSERT INTO cancel_requests (payment_id, requested_by, next_attempt_at, detail)
        SELECT id, uuidv7(), NULL, :name FROM payments""",
        name=NAME,
    )
    command = _begin(app, person)
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as somebody:
        somebody.execute(text(held))
        if held.startswith("UPDATE"):
            somebody.commit()
        _carry_out(worker_app)
        assert _run(sql, command).state == "running"
    sql("UPDATE webhook_deliveries SET replay_of = NULL, state = 'rejected' WHERE state = 'received'")
    sql("UPDATE command_runs SET leased_until = now() WHERE id = :id", id=command)
    _carry_out(worker_app)

    assert _run(sql, command).state == "done"
    assert NAME not in everything(sql)


def test_it_goes_on_after_any_step(sql: Sql, app: Flask, worker_app: Flask, person: Customer, servers: Servers) -> None:
    """A worker that is killed leaves whole steps behind it, each a transaction of its own."""
    command = _begin(app, person)
    engine = create_engine(servers.worker_url, isolation_level="AUTOCOMMIT")
    kinds: list[str] = []
    with engine.connect() as worker_role:
        for _ in range(4):
            row = worker_role.execute(text("SELECT * FROM person_erase_step(:id)"), {"id": command}).one()
            kinds.append(row.kind)
    engine.dispose()
    assert kinds[:3] == ["begun", "log", "webhooks"]
    _carry_out(worker_app)

    assert _run(sql, command).state == "done"
    assert str(person.id) not in everything(sql)


def test_a_thousand_rows_take_steps_of_five_hundred(sql: Sql, app: Flask, servers: Servers, person: Customer) -> None:
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, rejected_payment)
        SELECT 'mock', 'a', 'rejected', id FROM payments, generate_series(1, 1100)"""
    )
    command = _begin(app, person)
    engine = create_engine(servers.worker_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as role:
        steps = [
            role.execute(text("SELECT kind, touched FROM person_erase_step(:id)"), {"id": command}).one()
            for _ in range(5)
        ]
    engine.dispose()

    assert [step.touched for step in steps if step.kind == "webhooks"] == [500, 500, 103]


def test_nobody_else_may_erase_and_nothing_without_a_command(
    sql: Sql, app: Flask, servers: Servers, person: Customer
) -> None:
    command = _begin(app, person)
    web = create_engine(servers.web_url)
    with web.connect() as role, pytest.raises(ProgrammingError, match="permission denied for function"):
        role.execute(text("SELECT person_erase_step(:id)"), {"id": command})
    web.dispose()
    role_of_worker = create_engine(servers.worker_url)
    with role_of_worker.connect() as role:
        with pytest.raises(ProgrammingError, match="no command to erase has the id"):
            role.execute(text("SELECT person_erase_step(uuidv7())"))
        role.rollback()
        role.execute(text("SET checkout.erasing = 'on'"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            role.execute(text("UPDATE payments SET user_id = uuidv7()"))
    role_of_worker.dispose()

    assert sql("SELECT user_id FROM payments")[0].user_id == person.id


def test_an_erased_webhook_is_replayed_through_no_door(
    sql: Sql, app: Flask, worker_app: Flask, person: Customer
) -> None:
    _begin(app, person)
    _carry_out(worker_app)
    (failed,) = sql("SELECT id FROM webhook_deliveries WHERE state = 'failed'")

    by_hand = app.test_cli_runner().invoke(args=["webhooks", "process", str(failed.id)])
    assert "left as it is: failed, and erased at" in by_hand.output
    of_all = app.test_cli_runner().invoke(args=["webhooks", "process", "--state", "failed"])
    assert "No webhooks match" in of_all.output
    with worker_app.app_context():
        assert process(str(failed.id)) == "0 webhooks"  # as Flower's Retry has it
    shown = app.test_cli_runner().invoke(args=["webhooks", "show", str(failed.id)]).output
    assert ("erased_at" in shown, "body" in shown) == (True, False)
    assert [row.state for row in sql("SELECT state FROM webhook_deliveries ORDER BY state")] == [
        "applied",
        "failed",
        "rejected",
    ]


def test_an_erased_webhook_that_was_to_be_verified_later_is_tried_no_more(
    sql: Sql, app: Flask, worker_app: Flask, person: Customer
) -> None:
    """Such as one whose certificate could not be had yet: without its bytes nothing can be verified."""
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() + interval '1 minute' WHERE state = 'rejected'")
    _begin(app, person)
    _carry_out(worker_app)
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE next_attempt_at > now()")
    with worker_app.app_context():
        sweep()
        assert process(str(uuid4())) == "0 webhooks"

    (rejected,) = sql(
        "SELECT state, next_attempt_at FROM webhook_deliveries WHERE erased_at IS NOT NULL AND state = 'rejected'"
    )
    assert tuple(rejected) == ("rejected", None)


def test_an_export_is_everything_that_is_held(app: Flask, sql: Sql, person: Customer, tmp_path: Any) -> None:
    path = tmp_path / "ada.jsonl"
    done = app.test_cli_runner().invoke(args=["privacy", "export", "--user", str(person.id), "--to", str(path)])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert path.stat().st_mode & 0o077 == 0, "nobody else on this machine reads it"
    again = app.test_cli_runner().invoke(args=["privacy", "export", "--user", str(uuid4()), "--to", str(path)])
    assert (again.exit_code, again.output) == (1, f"Error: {path}: File exists\n")

    kinds = {row["kind"] for row in rows}
    assert {"user", "cart", "cart_line", "session", "payment", "attempt", "event", "notice", "webhook"} <= kinds
    assert sum(row["kind"] == "webhook" for row in rows) == 3
    assert all(NAME in row["body"] for row in rows if row["kind"] == "webhook")
    assert all("payment_token" not in row for row in rows)
    (amount,) = {row["amount"] for row in rows if row["kind"] == "payment"}
    assert Decimal(amount) == sql("SELECT amount FROM payments LIMIT 1")[0].amount
    assert isinstance(amount, str)
    other = app.test_cli_runner().invoke(args=["privacy", "export", "--user", str(uuid4())])
    assert other.output.startswith("0 rows of")


def test_erasing_from_the_command_line_waits_for_the_workers_and_says_so(
    app: Flask, worker_app: Flask, sql: Sql, person: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout_service.commands.watching.PATIENCE", 0.3)
    arguments = ["privacy", "erase", "--user", str(person.id), "--why", "asked for in writing"]
    waited = app.test_cli_runner().invoke(args=arguments)
    assert waited.exit_code == 1
    assert "goes on as soon as workers run" in waited.output
    _carry_out(worker_app)

    assert sql("SELECT state FROM command_runs")[0].state == "done"
    (command,) = sql("SELECT door, action, subject, why FROM audit")
    assert tuple(command) == ("cli", "erase", str(person.id), "asked for in writing")
