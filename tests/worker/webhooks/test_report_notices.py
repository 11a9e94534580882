"""Which reports webhooks told of: names alone, of what the receiver filed and the worker ignored or rejected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from checkout_service.settlements.notices import notices
from tests.conftest import Servers, Sql
from tests.providers.kits import adyen
from tests.worker.other_providers import Wallets
from worker.webhooks.task import process

SECRET = adyen.KIT.secrets[0]
FILE = "settlement_detail_report_batch_41.csv"


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the role that fetches."""
    url = make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET max_stack_depth = '200kB'")  # as small as a careful server has it
        connection.execute("SET SESSION AUTHORIZATION checkout_settlements")
        yield connection


def report(name: str = FILE, account: str = adyen.MERCHANT, **fields: Any) -> dict[str, Any]:
    """An item as in Adyen's own example: without additionalData, so unsigned."""
    item = adyen.item("REPORT_AVAILABLE", merchantReference="", merchantAccountCode=account, pspReference=name)
    item |= {"amount": {"currency": "EUR", "value": 0}, "reason": f"https://ca-test.adyen.com/reports/download/{name}"}
    del item["additionalData"]
    return item | fields


def named(connection: psycopg.Connection[Any], most: int = 100) -> list[tuple[str, bool]]:
    after = datetime.now(UTC) - timedelta(days=1)
    found = connection.execute("SELECT name, is_verified FROM settlement_notices(%s, %s)", (after, most)).fetchall()
    return [(name, is_verified) for name, is_verified in found]


def test_a_notice_is_found_as_adyen_sends_it_signed_or_not(
    wallets: Wallets, sql: Sql, client: FlaskClient, settlements: psycopg.Connection[Any]
) -> None:
    signed = adyen.sign(report("settlement_detail_report_batch_42.csv"), SECRET)
    for body in (adyen.batch(report()), adyen.batch(signed)):
        assert client.post("/api/payments/webhook/adyen", data=body).status_code == 200
    assert named(settlements) == [], "the worker has not looked yet"
    for delivery in sql("SELECT id FROM webhook_deliveries ORDER BY id"):
        process(str(delivery.id))

    states = [row.state for row in sql("SELECT state FROM webhook_deliveries ORDER BY id")]
    assert states == ["rejected", "ignored"]
    assert named(settlements) == [
        (f"{adyen.MERCHANT}/settlement_detail_report_batch_42.csv", True),
        (f"{adyen.MERCHANT}/{FILE}", False),
    ]
    assert wallets.adyen.requests == [], "no address in it is asked"


def insert(sql: Sql, body: bytes, state: str = "rejected", provider: str = "adyen", at: str = "now()") -> None:
    sql(
        f"INSERT INTO webhook_deliveries (provider, body, state, processed_at, received_at, next_attempt_at) "
        f"VALUES (:provider, :body, :state, now(), {at}, NULL)",
        provider=provider,
        body=body,
        state=state,
    )


HOSTILE = {
    "no JSON": b"REPORT_AVAILABLE settlement_detail_report_batch_1.csv",
    "a zero byte": adyen.batch(report()) + b"\0",
    "an escaped zero": adyen.batch(report(reason="\0")),
    "no UTF-8": adyen.batch(report()).replace(b"ca-test", b"\xff\xfe\x80"),
    "half a character": adyen.batch(report(reason="\ud800")),
    "deep": b'{"a": "REPORT_AVAILABLE", "notificationItems": ' + b"[" * 7000 + b"]" * 7000 + b"}",
    "deep objects": b'{"a": "REPORT_AVAILABLE", "b": ' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}",
    "a long number": b'{"a": "REPORT_AVAILABLE", "notificationItems": 1e999999999}',
    "a long one": adyen.batch(report(reason="x" * 20_000)),
    "a thousand items": adyen.batch(*[report(f"settlement_detail_report_batch_{n}.csv") for n in range(1000)]),
    "items that are none": b'{"notificationItems": [1, null, "REPORT_AVAILABLE", {"NotificationRequestItem": 7}]}',
    "names that are none": adyen.batch(report()).replace(b'"pspReference": "', b'"pspReference": 1, "p": "'),
    "another path": adyen.batch(report("settlement_detail_report_../../x.csv"), report(account="../etc")),
    "a line's end": adyen.batch(report(FILE + "\n"), report(account="Shop\n")),
    "another file": adyen.batch(report("payments_accounting_report_2026_11_27.csv"), report("a" * 300 + ".csv")),
    "a workbook": adyen.batch(report("settlement_detail_report_batch_41.xlsx")),
    "another code": adyen.batch(report(eventCode="AUTHORISATION", reason="REPORT_AVAILABLE")),
}  # fmt: skip


def test_no_body_keeps_the_others_from_being_read(sql: Sql, settlements: psycopg.Connection[Any]) -> None:
    insert(sql, adyen.batch(report()))
    for body in HOSTILE.values():
        insert(sql, body)
        insert(sql, body, "ignored")
    sql("""UPDATE webhook_deliveries SET body = NULL, erased_at = now()
        WHERE id = (SELECT id FROM webhook_deliveries ORDER BY id DESC LIMIT 1)""")

    # What is no UTF-8 elsewhere names a file in ASCII all the same.
    assert named(settlements) == [(f"{adyen.MERCHANT}/{FILE}", True)]


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_body_of_any_form_names_nothing(
    sql: Sql, settlements: psycopg.Connection[Any], body: bytes, request: pytest.FixtureRequest
) -> None:
    insert(sql, body)

    expected = [f"{adyen.MERCHANT}/{FILE}"] if "no UTF-8" in request.node.name else []
    assert [name for name, _ in named(settlements)] == expected


def test_of_many_the_newest_count_and_verified_ones_come_first(sql: Sql, settlements: psycopg.Connection[Any]) -> None:
    """A stranger may send as many as they like: what Adyen signed is not pushed out by it."""
    insert(sql, adyen.batch(report("settlement_detail_report_batch_7.csv")), "ignored")
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, processed_at, next_attempt_at)
        SELECT 'adyen', convert_to(replace(:body, 'batch_41', 'batch_' || number), 'UTF8'), 'rejected', now(), NULL
        FROM generate_series(1000, 5000) AS number""",
        body=adyen.batch(report()).decode(),
    )
    found = named(settlements, 1000)

    assert len(found) == 100, "whatever is asked for"
    assert found[0] == (f"{adyen.MERCHANT}/settlement_detail_report_batch_7.csv", True)
    assert found[1] == (f"{adyen.MERCHANT}/settlement_detail_report_batch_5000.csv", False)
    assert named(settlements, 1) == found[:1]


def test_many_of_another_provider_hide_none(sql: Sql, settlements: psycopg.Connection[Any]) -> None:
    insert(sql, adyen.batch(report()))
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, processed_at, next_attempt_at)
        SELECT 'stripe', '{}', 'rejected', now(), NULL FROM generate_series(1, 3000)"""
    )
    assert named(settlements) == [(f"{adyen.MERCHANT}/{FILE}", False)]


def test_names_that_anybody_may_have_sent_take_turns(sql: Sql, settlements: psycopg.Connection[Any]) -> None:
    insert(sql, adyen.batch(report("settlement_detail_report_2026_11_27.csv")))
    for number in range(40):
        insert(sql, adyen.batch(report(f"settlement_detail_report_batch_{number}.csv")))
    real = f"{adyen.MERCHANT}/settlement_detail_report_2026_11_27.csv"
    begun = datetime.now(UTC)
    turns = [
        list(notices(settlements, provider="adyen", now=begun + timedelta(hours=hour), fetched_at=None))[:8]
        for hour in range(100)
    ]
    assert any(real in turn for turn in turns)
    assert len({name for turn in turns for name in turn}) == 41
    assert all(len(set(turn)) == 8 for turn in turns)


def test_older_ones_and_other_providers_and_other_states_are_left_out(
    sql: Sql, settlements: psycopg.Connection[Any]
) -> None:
    insert(sql, adyen.batch(report()), at="now() - interval '2 days'")
    insert(sql, adyen.batch(report()), provider="stripe")
    insert(sql, adyen.batch(report()), "failed")
    insert(sql, adyen.batch(report()), "applied")

    assert named(settlements) == []


def test_nobody_else_may_ask_and_no_body_is_read_beside(sql: Sql, settlements: psycopg.Connection[Any]) -> None:
    insert(sql, adyen.batch(report()))

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        settlements.execute("SELECT body FROM webhook_deliveries")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        settlements.execute("SELECT settlement_notices_in('x')")
    for role in ("checkout_web", "checkout_worker"):
        rows = sql(
            f"SELECT has_function_privilege('{role}', 'settlement_notices(timestamptz, integer)', 'EXECUTE') AS may"
        )
        assert rows[0].may is False


def test_a_report_that_is_here_is_named_again_only_by_a_webhook_since_the_last_fetch(
    sql: Sql, settlements: psycopg.Connection[Any]
) -> None:
    """It may have been made anew. One that is not here is named for some days, since a fetch may fail."""
    now, name = datetime.now(UTC), f"{adyen.MERCHANT}/{FILE}"
    insert(sql, adyen.batch(report()), at="now() - interval '5 hours'")

    def named_since(hours: int | None) -> list[str]:
        fetched_at = None if hours is None else now - timedelta(hours=hours)
        return list(notices(settlements, provider="adyen", now=now, fetched_at=fetched_at))

    assert named_since(None) == named_since(6) == named_since(1) == [name]
    sql(
        """INSERT INTO settlement_files (id, provider, name, sha256, form, rows, state, entered_at)
        VALUES (:id, 'adyen', :name, sha256('x'), 'settlement_details', 0, 'entered', now())""",
        id=uuid4(),
        name=name,
    )
    assert named_since(6) == [name]
    assert named_since(1) == []
    assert notices(settlements, provider="stripe", now=now, fetched_at=None) == ()


def test_a_table_with_many_others_is_read_along_the_index(sql: Sql, settlements: psycopg.Connection[Any]) -> None:
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, processed_at, next_attempt_at)
        SELECT 'stripe', '{}', 'applied', now(), NULL FROM generate_series(1, 20000)"""
    )
    insert(sql, adyen.batch(report()))
    sql("ANALYZE webhook_deliveries")
    plan = sql(
        """EXPLAIN (ANALYZE, FORMAT JSON) SELECT provider, received_at, octet_length(body), id FROM webhook_deliveries
        WHERE state = 'rejected' ORDER BY id DESC LIMIT 2000"""
    )[0][0]

    assert "Seq Scan" not in json.dumps(plan)
    assert "rare_states" in json.dumps(plan)
    assert named(settlements) == [(f"{adyen.MERCHANT}/{FILE}", False)]


def test_a_report_that_is_here_is_named_once_whatever_its_file_is_called(
    sql: Sql, settlements: psycopg.Connection[Any]
) -> None:
    """By merchant account and batch, as the file says them; another account has a batch of this number too."""
    for number, account in ((41, adyen.MERCHANT), (42, adyen.MERCHANT), (41, "AnotherShop")):
        insert(sql, adyen.batch(report(f"settlement_detail_report_batch_{number}_2026-11-27.csv", account)))
    now = datetime.now(UTC) + timedelta(hours=2)
    later = {"provider": "adyen", "now": now, "fetched_at": now}
    assert len(notices(settlements, **later)) == 3

    sections = [{"account": adyen.MERCHANT, "name": "batch 41 EUR", "number": 41}]
    settlements.execute(
        """INSERT INTO settlement_files (provider, name, sha256, form, rows, sections, state, entered_at)
        VALUES ('adyen', 'november.csv', sha256('november'), 'settlement_details', 1, %s, 'entered', now())""",
        (json.dumps(sections),),
    )
    assert sorted(notices(settlements, **later)) == [
        "AnotherShop/settlement_detail_report_batch_41_2026-11-27.csv",
        f"{adyen.MERCHANT}/settlement_detail_report_batch_42_2026-11-27.csv",
    ]
    assert len(notices(settlements, **(later | {"fetched_at": None}))) == 3, "it may have been made anew since then"
