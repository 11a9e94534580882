"""Who is calling, by their API key: what opens nothing, how soon a key that was revoked does, and what that costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.api.callers import Caller
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.identity import api_keys
from checkout_service.identity.api_keys import (
    KEPT_KEYS,
    REMEMBERED_FOR,
    UNKNOWN_AT_ONCE,
    ApiKeys,
    InvalidApiKey,
    TooManyUnknownKeys,
)
from checkout_service.identity.key_form import new_key, prefix_of
from tests.api_keys import flask_api_keys, id_of, made_key
from tests.conftest import Customer, Servers, Sql, Statements
from tests.own_apps import SECRET, MakeApp, bearer

PATH = "/api/admin/payments"


@pytest.fixture(autouse=True)
def _owner(monkeypatch: pytest.MonkeyPatch, servers: Servers, app: Flask) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)
    monkeypatch.setitem(app.extensions, "api_keys", ApiKeys())


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setitem(app.extensions, "api_keys", ApiKeys(clock=made))
    return made


def status_of(client: FlaskClient, key: str) -> int:
    return client.get(PATH, headers=bearer(key)).status_code


def test_a_key_opens_what_its_scopes_say_at_once(app: Flask, client: FlaskClient) -> None:
    key = made_key(app, "payments:read", "ops")

    assert client.get(PATH, headers=bearer(key)).status_code == 200
    assert client.get(PATH, headers={"Authorization": f"bearer {key}"}).status_code == 200
    refused = client.get("/api/admin/orders", headers=bearer(key))
    assert (refused.status_code, refused.json["type"]) == (403, "/problems/insufficient-scope")
    assert refused.json["scope"] == "orders:read"
    assert 'scope="orders:read"' in refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize("spoil", [lambda key: key[:-1], lambda key: f"{key}0", lambda key: new_key(), str.swapcase])
def test_what_is_no_key_of_ours_is_401(app: Flask, client: FlaskClient, sql: Sql, spoil: Callable[[str], str]) -> None:
    key = made_key(app, "payments:read")

    answer = client.get(PATH, headers=bearer(spoil(key)))

    assert answer.status_code == 401
    assert answer.json["type"] in {"/problems/invalid-api-key", "/problems/invalid-token"}
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="checkout", error="invalid_token"'
    assert key not in answer.text


def test_a_key_is_never_read_as_a_token_nor_a_token_as_a_key(
    app: Flask, client: FlaskClient, customer: Customer, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    def never(*_: object) -> Caller:
        raise AssertionError("it was read as the other thing")

    key = made_key(app, "payments:read")
    with monkeypatch.context() as patch:
        patch.setattr(app.extensions["tokens"], "caller", never)
        assert status_of(client, key) == 200
        assert status_of(client, "csk_a.b.c") == 401
        # A token that is signed with our secret, and begins as a key: no issuer makes one, and it counts as neither.
        assert status_of(client, "csk_" + jwt.encode({"sub": str(uuid4())}, SECRET, "HS256")) == 401
    monkeypatch.setattr(app.extensions["api_keys"], "caller", never)
    assert customer.get("/api/cart").status_code == 200
    with statements() as seen:
        assert client.get("/api/cart", headers=bearer("nonsense")).status_code == 401
    assert seen == []


def test_a_subject_that_is_a_keys_id_is_a_customer_all_the_same(app: Flask, client: FlaskClient, sql: Sql) -> None:
    key_id = id_of(sql, made_key(app, "payments:read"))
    claims = {"sub": str(key_id), "exp": datetime.now(UTC) + timedelta(hours=1)}

    answer = client.get(PATH, headers=bearer(jwt.encode(claims, SECRET, "HS256")))

    assert (answer.status_code, answer.json["type"]) == (403, "/problems/insufficient-scope")


def test_a_key_that_is_revoked_opens_nothing_some_seconds_later(app: Flask, client: FlaskClient, clock: Clock) -> None:
    key = made_key(app, "payments:read")
    assert status_of(client, key) == 200
    assert flask_api_keys(app, "revoke", prefix_of(key)).exit_code == 0

    clock.now += REMEMBERED_FOR
    assert status_of(client, key) == 401
    assert client.get(PATH, headers=bearer(key)).json["type"] == "/problems/invalid-api-key"


def test_a_key_that_a_process_does_not_know_yet_opens_nothing_once_it_is_revoked(
    app: Flask, client: FlaskClient
) -> None:
    key = made_key(app, "payments:read")
    flask_api_keys(app, "revoke", prefix_of(key))

    assert status_of(client, key) == 401


def test_a_key_ends_to_the_second_though_it_is_remembered(
    app: Flask, client: FlaskClient, sql: Sql, clock: Clock
) -> None:
    key = made_key(app, "payments:read", options=("--expires-in-days", "1"))
    sql("ALTER TABLE api_keys DISABLE TRIGGER api_keys_guard")
    ends_at = sql("UPDATE api_keys SET expires_at = now() + interval '4 seconds' RETURNING expires_at")[0].expires_at
    sql("ALTER TABLE api_keys ENABLE TRIGGER api_keys_guard")

    assert status_of(client, key) == 200
    time.sleep(max(0.0, ends_at.timestamp() - time.time()))
    assert status_of(client, key) == 401
    clock.now += REMEMBERED_FOR
    assert status_of(client, key) == 401


def test_a_key_costs_a_statement_once_in_some_seconds(
    app: Flask, client: FlaskClient, clock: Clock, statements: Statements
) -> None:
    key = made_key(app, "payments:read")
    counts = []
    for later in (0.0, 0.0, REMEMBERED_FOR - 0.1, 0.1, 0.0):
        clock.now += later
        with statements() as seen:
            assert status_of(client, key) == 200
        counts.append(len([statement for statement in seen if "FROM api_keys" in statement and "hash" in statement]))
    assert counts == [1, 0, 0, 1, 0]


def test_a_key_with_a_typo_and_one_that_was_refused_cost_none(
    app: Flask, client: FlaskClient, clock: Clock, statements: Statements
) -> None:
    unknown = new_key()
    with statements() as seen:
        assert status_of(client, unknown) == 401
    assert len(seen) == 1
    with statements() as seen:
        assert status_of(client, unknown) == 401
        assert status_of(client, unknown[:-1] + ("0" if unknown[-1] != "0" else "1")) == 401
        assert status_of(client, "csk_" + "0" * 10_000) == 401
    assert seen == []


def test_strangers_cannot_have_more_than_some_keys_looked_for_and_known_ones_work(
    app: Flask, client: FlaskClient, clock: Clock, statements: Statements
) -> None:
    known = made_key(app, "payments:read")
    assert status_of(client, known) == 200

    with statements() as seen:
        answers = [client.get(PATH, headers=bearer(new_key())) for _ in range(3 * UNKNOWN_AT_ONCE)]
    assert len(seen) == UNKNOWN_AT_ONCE  # the last of them reads all good keys
    fresh = made_key(app, "payments:read")
    assert [answer.status_code for answer in answers] == [401] * (UNKNOWN_AT_ONCE - 1) + [503] * (
        2 * UNKNOWN_AT_ONCE + 1
    )
    assert answers[-1].json["type"] == "/problems/too-many-unknown-keys"
    assert answers[-1].headers["Retry-After"] == "1"
    assert status_of(client, known) == 200
    assert status_of(client, fresh) == 503

    clock.now += REMEMBERED_FOR  # what it knew is looked up again, flood or not
    for _ in range(3 * UNKNOWN_AT_ONCE):
        status_of(client, new_key())
    assert status_of(client, known) == 200
    assert status_of(client, fresh) == 200
    newest = made_key(app, "payments:read")
    assert status_of(client, newest) == 503
    clock.now += 1.0
    assert status_of(client, newest) == 200


def test_a_process_that_knows_no_key_yet_lets_programs_in_whatever_strangers_send(
    app: Flask, client: FlaskClient, clock: Clock, statements: Statements
) -> None:
    """As after a deployment, while somebody sends made-up keys without a pause."""
    programs = [made_key(app, "payments:read") for _ in range(30)]
    over = made_key(app, "payments:read")
    assert flask_api_keys(app, "revoke", prefix_of(over)).exit_code == 0
    with statements() as seen:
        for _ in range(5 * UNKNOWN_AT_ONCE):
            status_of(client, new_key())
        assert len(seen) == UNKNOWN_AT_ONCE + 1
        assert [status_of(client, key) for key in programs] == [200] * len(programs)
        assert status_of(client, over) == 503
    # What was learned so is as old as what was looked up.
    assert flask_api_keys(app, "revoke", prefix_of(programs[0])).exit_code == 0
    clock.now += REMEMBERED_FOR
    assert status_of(client, programs[0]) == 401
    assert status_of(client, programs[1]) == 200


def test_made_up_keys_fill_no_memory_and_push_no_known_key_out(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    keys = ApiKeys(clock=clock)
    known = made_key(app, "payments:read")
    with app.app_context():
        assert keys.caller(known).scopes == {"payments:read"}
        monkeypatch.setattr(api_keys, "execute", lambda *_: ())
        for _ in range(KEPT_KEYS + 100):
            clock.now += 1 / UNKNOWN_AT_ONCE / KEPT_KEYS  # which earns no look within this test
            with pytest.raises((InvalidApiKey, TooManyUnknownKeys)):
                keys.caller(new_key())
        for _ in range(KEPT_KEYS + 100):
            keys._may_look = 1.0
            with pytest.raises(InvalidApiKey):
                keys.caller(new_key())
        assert len(keys._refused) == KEPT_KEYS
        assert keys.caller(known).key_prefix == prefix_of(known)


def test_a_database_that_is_away_refuses_no_key_that_is_remembered(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailableError

    key = made_key(app, "payments:read")
    with app.app_context():
        keys: ApiKeys = app.extensions["api_keys"]
        keys.caller(key)
        monkeypatch.setattr(api_keys, "execute", away)
        assert keys.caller(key).key_prefix == prefix_of(key)
        clock.now += REMEMBERED_FOR
        with pytest.raises(DatabaseUnavailableError):
            keys.caller(key)


def used_at(sql: Sql, key_id: UUID) -> datetime | None:
    found: datetime | None = sql("SELECT last_used_at FROM api_keys WHERE id = :id", id=key_id)[0].last_used_at
    return found


def test_the_last_use_is_noted_once_a_minute_and_after_the_answer(
    app: Flask, client: FlaskClient, sql: Sql, clock: Clock, statements: Statements
) -> None:
    key = made_key(app, "payments:read")
    notes = []
    for later in (0.0, 30.0, 30.0, 1.0):
        clock.now += later
        sql("UPDATE api_keys SET last_used_at = last_used_at - make_interval(secs => :seconds)", seconds=later)
        with statements() as seen:
            assert status_of(client, key) == 200
        notes.append([place for place, statement in enumerate(seen) if "UPDATE api_keys" in statement])
        assert not notes[-1] or notes[-1] == [len(seen) - 1]
    assert [len(each) for each in notes] == [1, 0, 1, 0]
    used = used_at(sql, id_of(sql, key))
    assert used is not None
    assert datetime.now(UTC) - used < timedelta(minutes=5)


def test_a_use_that_another_process_noted_within_the_minute_is_not_noted_again(
    app: Flask, client: FlaskClient, sql: Sql
) -> None:
    key = made_key(app, "payments:read")
    before = sql("UPDATE api_keys SET last_used_at = now() - interval '20 seconds' RETURNING last_used_at")[0][0]

    assert status_of(client, key) == 200
    assert used_at(sql, id_of(sql, key)) == before


def test_a_refused_key_is_not_used(app: Flask, client: FlaskClient, sql: Sql) -> None:
    key = made_key(app, "payments:read")
    flask_api_keys(app, "revoke", prefix_of(key))

    assert status_of(client, key) == 401
    assert used_at(sql, id_of(sql, key)) is None


def test_a_use_that_cannot_be_noted_refuses_nobody(
    app: Flask, client: FlaskClient, sql: Sql, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    key = made_key(app, "payments:read")
    sql("REVOKE UPDATE (last_used_at) ON api_keys FROM checkout_web")
    try:
        assert status_of(client, key) == 200
    finally:
        sql("GRANT UPDATE (last_used_at) ON api_keys TO checkout_web")
    assert "api_key_use_not_noted" in capsys.readouterr().err
    other = made_key(app, "payments:read")
    url = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM api_keys FOR UPDATE")
        assert status_of(client, other) == 200
    # It waited for nobody, or the wait would have ended by an error.
    assert "api_key_use_not_noted" not in capsys.readouterr().err
    assert used_at(sql, id_of(sql, key)) is None
    assert used_at(sql, id_of(sql, other)) is None


def test_logs_have_the_prefix_of_a_key_and_never_the_key(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str], sql: Sql
) -> None:
    app = make_app(environment="production", pages=False)
    key = made_key(app, "payments:read")
    capsys.readouterr()

    client = app.test_client()
    assert status_of(client, key) == 200
    client.get(f"{PATH}/{key}", headers=bearer(key))
    tokens_log = "a program was configured with Authorization=Bearer " + key
    api_keys.log.warning("something_with_a_key", error=tokens_log, other=f"key {key}", plain=key, inside={"a": [key]})

    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request" and line["route"] == PATH]
    assert line["key_prefix"] == prefix_of(key)
    (warned,) = [line for line in lines if line["event"] == "something_with_a_key"]
    assert warned["other"] == f"key {prefix_of(key)}***"
    assert warned["plain"] == f"{prefix_of(key)}***"
    assert warned["inside"] == {"a": [f"{prefix_of(key)}***"]}
    assert key not in written


def test_a_customers_line_names_no_key(customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    customer.get("/api/cart")
    assert "key_prefix" not in capsys.readouterr().err


def test_a_key_is_named_by_its_prefix_and_a_user_by_their_id() -> None:
    who = uuid4()
    assert Caller(who).name == f"user {who}"
    assert Caller(who, key_prefix="csk_0aB1cD2e").name == "key csk_0aB1cD2e"
