"""The audit page: who had what done and why, of commands, orders and money alike, in one list of pages."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.commands import queries
from checkout_service.refunds.operations import SERVICE, operator_id
from tests.conftest import MakeListing, Sql
from tests.console.conftest import USER, Operator
from tests.money import attempt, fold
from tests.ordering import open_session, paid_order
from tests.refunding import insert_refund, paid_payment

_KEYED = "requested_by, idempotency_key, request_hash"


def _rows(text: str) -> list[str]:
    """The rows of the list, each as the text of its cells."""
    found = re.findall(r"<tr>\s*(<td>.*?)</tr>", text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in found]


def _key(sql: Sql, prefix: str, name: str = "") -> UUID:
    found: UUID = sql(
        """INSERT INTO api_keys (name, prefix, hash, scopes, created_by)
        VALUES (:name, :prefix, sha256(convert_to(CAST(:prefix AS text), 'UTF8')), '{refunds}', 'mira') RETURNING id""",
        name=name,
        prefix=prefix,
    )[0].id
    return found


def _command(sql: Sql, payment_id: UUID) -> UUID:
    found: UUID = sql(
        """INSERT INTO audit (key, door, operator, action, subject, why)
        VALUES (uuidv7(), 'cli', 'ops', 'look_up', :id, 'nobody reported') RETURNING id""",
        id=str(payment_id),
    )[0].id
    return found


def _authorized(sql: Sql, *bought: tuple[dict[str, Any], int]) -> UUID:
    payment_id = open_session(sql, *bought)
    amount = sql("SELECT amount FROM payments WHERE id = :id", id=payment_id)[0].amount
    attempt(sql, payment_id, "authorized", ref=f"at_{payment_id}", authorized=amount)
    fold(sql, payment_id)
    return payment_id


def test_what_people_requested_is_listed_with_who_and_why(
    operator: Operator, sql: Sql, make_listing: MakeListing
) -> None:
    first, first_payment = paid_order(sql, (make_listing(), 1))
    second, _ = paid_order(sql, (make_listing(), 1))
    authorized, other = (_authorized(sql, (make_listing(), 1)) for _ in range(2))
    stranger = uuid4()
    _command(sql, authorized)
    insert_refund(sql, first_payment, "4.00", reason="'a torn page'")
    for statement in (
        f"INSERT INTO fulfilments (order_id, {_KEYED}) VALUES ('{first}', :mira, 'f', '')",
        f"""INSERT INTO order_cancellations (order_id, reason, {_KEYED})
            VALUES ('{second}', 'by telephone', :who, 'c', '')""",
        f"""INSERT INTO capture_requests (payment_id, attempt_ref, amount, final, {_KEYED})
            VALUES ('{authorized}', 'at_{authorized}', 10, false, :who, 'k', '')""",
        f"INSERT INTO voids (payment_id, {_KEYED}) VALUES ('{other}', :who, 'v', '')",
    ):
        sql(statement.replace(":mira", f"'{operator_id(USER)}'").replace(":who", f"'{stranger}'"))

    text = operator.get("/ops/audit").text
    rows = _rows(text)

    tail = str(stranger)[-12:]
    for row, parts in zip(
        rows,
        [
            (tail, "void an authorisation", str(other)[-12:], "40.00 USD", "—", "requested"),
            (tail, "capture money", str(authorized)[-12:], "10.00 USD", "—", "requested"),
            (tail, "give money back", "40.00 USD", "by telephone", "requested"),
            (tail, "cancel an order", str(second)[-12:], "by telephone", "canceled"),
            (USER, "fulfil an order", str(first)[-12:], "—", "fulfilled"),
            ("give money back", str(first_payment)[-12:], "4.00 USD", "a torn page", "requested"),
            ("ops", "cli", "look a payment up", "nobody reported"),
        ],
        strict=True,
    ):
        for part in parts:
            assert part in row, (part, rows)
    assert f'href="/ops/orders/{second}"' in text
    assert f'href="/ops/payments/{authorized}"' in text


def test_what_the_service_or_a_provider_did_is_not_of_people(operator: Operator, sql: Sql) -> None:
    payment_id, _ = paid_payment(sql)
    sql(
        "INSERT INTO refunds (payment_id, amount, provider_ref, status) VALUES (:id, 3, 're_1', 'succeeded')",
        id=payment_id,
    )
    sql(
        f"INSERT INTO refunds (payment_id, amount, {_KEYED}) VALUES (:id, 3, :service, 'k', '')",
        id=payment_id,
        service=SERVICE,
    )

    assert _rows(operator.get("/ops/audit").text) == []


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_go_on_through_all_tables_without_missing_or_repeating_any(
    operator: Operator, sql: Sql, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(queries, "PAGE", size)
    monkeypatch.setattr("checkout_service.console.audit_queries.PAGE", size)
    payment_id, _ = paid_payment(sql)
    for turn in range(4):
        _command(sql, payment_id)
        insert_refund(sql, payment_id, f"1.0{turn}")
    _command(sql, payment_id)

    seen: list[str] = []
    path: str | None = "/ops/audit"
    while path:
        text = operator.get(path).text
        rows = _rows(text)
        assert 0 < len(rows) <= size
        seen += rows
        following = re.search(r'href="(/ops/audit\?before=[0-9a-f-]+)"', text)
        path = following[1] if following else None

    kinds = ["command" if "look a payment up" in row else re.findall(r"(1\.0\d) USD", row)[0] for row in seen]
    assert kinds == ["command", "1.03", "command", "1.02", "command", "1.01", "command", "1.00", "command"]


def test_what_a_program_requested_is_listed_by_its_keys_prefix_and_name(operator: Operator, sql: Sql) -> None:
    payment_id, _ = paid_payment(sql)
    for key_id in (_key(sql, "csk_0aB1cD2e", "the <b>warehouse</b>"), _key(sql, "csk_11111111")):
        sql(
            f"""INSERT INTO refunds (payment_id, amount, {_KEYED}) VALUES (:payment_id, 1, :key_id, 'one', '')""",
            payment_id=payment_id,
            key_id=key_id,
        )

    nameless, named = _rows(operator.get("/ops/audit").text)

    assert "key csk_0aB1cD2e the &lt;b&gt;warehouse&lt;/b&gt; request give money back" in named
    assert "key csk_11111111 request give money back" in nameless


def test_keys_that_were_made_and_revoked_are_listed(operator: Operator, sql: Sql) -> None:
    for action in ("create_key", "revoke_key"):
        sql(
            """INSERT INTO audit (key, door, operator, action, subject, why, details)
            VALUES (uuidv7(), 'cli', 'mira', :action, uuidv7()::text, 'moved', CAST(:details AS jsonb))""",
            action=action,
            details='{"prefix": "csk_0aB1cD2e", "name": "warehouse", "scopes": ["ops", "refunds"]}',
        )

    revoked, made = _rows(operator.get("/ops/audit").text)

    assert "mira cli make an API key key csk_0aB1cD2e warehouse, ops refunds moved done" in made
    assert "mira cli revoke an API key key csk_0aB1cD2e warehouse, ops refunds moved done" in revoked
