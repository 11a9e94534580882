"""A compiled statement gives what SQLAlchemy's Core would: the same values, the same errors, the same second chance."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from psycopg import _queries as psycopg_queries
from sqlalchemy import select, text
from sqlalchemy.exc import DataError

from checkout_service.database.engine import Conflict, constraint_of, db, execute, transaction
from checkout_service.database.statements import Statement, together, writes
from checkout_service.doctor.rights import WEB_FUNCTIONS
from checkout_service.payments.models import Payment
from checkout_service.payments.status import PaymentStatus
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment

PAYMENTS = select(Payment.id, Payment.status, Payment.amount, Payment.created_at, Payment.review_reason)


@pytest.fixture(autouse=True)
def _inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def test_values_are_those_of_core(sql: Sql) -> None:
    insert_payment(sql, status="paid")

    [fast], [slow] = execute(Statement(PAYMENTS)), execute(PAYMENTS)

    assert tuple(fast) == tuple(slow)
    assert fast.status is PaymentStatus.PAID


def test_columns_without_a_name_are_read_by_place() -> None:
    [row] = execute(Statement("SELECT CAST(1 AS integer), 'b' AS named, 3 AS named"))
    assert (row[0], row.named, row[2]) == (1, "b", 3)


def test_statement_without_rows_answers_with_none(sql: Sql) -> None:
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    assert execute(Statement("INSERT INTO carts (user_id) VALUES (:user)"), {"user": user}) == ()
    assert execute(Statement("SELECT id FROM carts WHERE user_id = :user"), {"user": uuid4()}) == []


def test_percent_signs_and_colons_are_text() -> None:
    [row] = execute(Statement("SELECT 'a%b' LIKE 'a\\%%' AS matches, '1'::text AS cast"))
    assert row.matches is True


LONG = f"/* {'x' * 4096} */ "
"""Before a statement, so that psycopg would look for its parameters each time."""


def test_a_long_statement_gives_what_a_short_one_gives(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg_queries, "_query2pg_nocache", None)
    insert_payment(sql, status="paid")
    source = """
        SELECT :first || CAST(:second AS text) || :first || '%a' AS joined, ARRAY[:second, 3], CAST(status AS text)
        FROM payments
    """
    values = {"second": 2, "first": "1", "unused": None}

    [short] = execute(Statement(source), values)
    for statement in (Statement(LONG + source), Statement(LONG + source, binary=True)):
        [long] = execute(statement, values)
        assert tuple(long) == tuple(short)
        assert long.joined == "121%a"
    with transaction() as connection:
        assert together(connection, (Statement(LONG + source), values), (Statement(source), values)) == [[short]] * 2


def test_a_long_statement_of_core_has_its_constants_and_converters(sql: Sql) -> None:
    insert_payment(sql, status="paid")
    built = PAYMENTS.where(Payment.amount > 0).prefix_with(text(LONG))

    [fast], [slow] = execute(Statement(built)), execute(built)

    assert tuple(fast) == tuple(slow)
    assert fast.status is PaymentStatus.PAID


def test_a_long_statement_fails_as_a_short_one(sql: Sql) -> None:
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    statement = Statement(LONG + "INSERT INTO users (id) VALUES (:id)")
    with pytest.raises(Conflict) as found:
        execute(statement, {"id": user})
    assert constraint_of(found.value) == "users_pkey"


def test_conflict_is_the_conflict_of_core(sql: Sql) -> None:
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    again = "INSERT INTO users (id) VALUES (:id)"

    with pytest.raises(Conflict) as fast:
        execute(Statement(again), {"id": user})
    with pytest.raises(Conflict) as slow:
        execute(text(again), {"id": user})

    assert type(fast.value.orig) is type(slow.value.orig)
    assert "parameters" not in str(fast.value), "the values of a statement belong in no log"


def test_refused_statement_leaves_its_connection_usable() -> None:
    broken = Statement("SELECT CAST(:text AS integer)")
    for _ in range(db.engine.pool.size() + 1):  # type: ignore[attr-defined]  # a pool that has a size
        with pytest.raises(DataError):
            execute(broken, {"text": "many"})
    assert execute(Statement("SELECT 1 AS one"))[0].one == 1


def test_connections_that_were_cut_are_replaced_without_a_word(sql: Sql) -> None:
    one = Statement("SELECT 1 AS one")
    lent = [db.engine.raw_connection() for _ in range(2)]
    for connection in lent:
        connection.close()
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'checkout_web'")

    assert execute(one)[0].one == 1
    assert execute(one)[0].one == 1


def test_whoever_calls_a_function_that_writes_is_known_to_write() -> None:
    """Else it would not be held back while commits are not confirmed."""
    found = {}
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()) if module.__name__.startswith("checkout_service.") else ():
            if isinstance(value, Statement) and any(f"{function}(" in value.sql for function in WEB_FUNCTIONS):
                found[f"{module.__name__}.{name}"] = value.writes
    assert len(found) >= 5
    assert [name for name, writes in found.items() if not writes] == []


@pytest.mark.parametrize(
    ("sql", "is_seen"),
    [
        ("UPDATE carts SET currency = 'EUR'", True),
        ("UPDATE carts AS cart SET currency = 'EUR'", True),
        ("UPDATE carts cart SET currency = 'EUR'", True),
        ("update only public.carts set currency = 'EUR'", True),
        ("WITH a AS (INSERT INTO users DEFAULT VALUES RETURNING id) SELECT id FROM a", True),
        ("DELETE FROM users", True),
        ("SELECT id FROM users FOR NO KEY UPDATE", False),
        ("SELECT updated_at FROM users", False),
    ],
)
def test_what_writes_is_seen(sql: str, is_seen: bool) -> None:
    assert Statement(sql).writes is is_seen
    assert writes(text(sql)) is is_seen


def test_statements_that_are_sent_together_give_the_rows_of_each(sql: Sql) -> None:
    add = Statement("INSERT INTO users (id) VALUES (:id)")
    see = Statement("SELECT id FROM users WHERE id = :id")
    user = uuid4()

    with transaction() as connection:
        assert together(connection) == []
        nothing, [row], [(number,)] = together(
            connection, (add, {"id": user}), (see, {"id": user}), (Statement("SELECT 7", named=False), {})
        )
        assert together(connection, (see, {"id": user})) == [[(user,)]]

    assert (nothing, row.id, number) == ((), user, 7)
    assert sql("SELECT count(*) FROM users WHERE id = :id", id=user)[0].count == 1


def test_what_one_of_them_raises_ends_the_transaction_and_no_other_is_run(sql: Sql) -> None:
    add = Statement("INSERT INTO users (id) VALUES (:id)")
    first, last = uuid4(), uuid4()

    with pytest.raises(Conflict) as raised, transaction() as connection:
        together(connection, (add, {"id": first}), (add, {"id": first}), (add, {"id": last}))

    assert constraint_of(raised.value) == "users_pkey"
    assert sql("SELECT count(*) FROM users WHERE id IN (:first, :last)", first=first, last=last)[0].count == 0
    assert execute(Statement("SELECT 7"))[0][0] == 7, "its connection is usable"


def test_statements_that_are_sent_together_are_not_waited_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[bool] = []
    sent = Statement._sent

    def noted(statement: Statement, *arguments: Any) -> Any:
        cursor = sent(statement, *arguments)
        answered.append(cursor.pgresult is not None)
        return cursor

    monkeypatch.setattr(Statement, "_sent", noted)
    with transaction() as connection:
        together(connection, *[(Statement("SELECT 1 AS one"), {})] * 3)
    assert answered == [False] * 3
