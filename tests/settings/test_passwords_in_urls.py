"""An address whose password cuts it short is refused by words that hold nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from redis import Redis

from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import (
    BrokerSettings,
    MigrationSettings,
    SettingsError,
    WebSettings,
    WorkerSettings,
)
from tests.settings.test_settings import GOOD, environment

__all__ = ["environment"]

DATABASES: Final = (
    "postgresql://checkout_web:{}@127.0.0.1:1/shop",
    "postgres://checkout_web:{}@127.0.0.1:1/shop?sslmode=disable",
    "postgresql+psycopg://checkout_web:{}@[::1]:1/shop",
    "postgresql://{}@127.0.0.1:1/shop",
    "postgresql://{}:5432/shop",
    "postgresql:///shop?host=127.0.0.1&port=1&user=web&password={}",
    "postgresql://checkout_web:{}",
    "{}",
)
SERVERS: Final = (
    "redis://:{}@127.0.0.1:1/0",
    "rediss://web:{}@[::1]:1/0?ssl_cert_reqs=none",
    "redis://127.0.0.1:1/0?password={}",
    "unix://:{}@/run/valkey.sock?db=0",
    "redis://{}@127.0.0.1:1",
    "redis://{}",
    "{}",
)
BROKERS: Final = (*SERVERS, "amqp://web:{}@127.0.0.1:1//", "amqps://web:{}@[::1]:1/shop", "amqp://{}")

PARTS: Final = ("Qz7x", "Vk3w", "Jp9t", "1847")
"""They are nowhere in what we print."""

PASSWORDS: Final = st.lists(
    st.tuples(st.sampled_from(PARTS), st.text(st.sampled_from("/?#@:[]%&=+ '\"\\;,\t\u00e9"), max_size=3)),
    min_size=1,
    max_size=4,
).map(lambda pieces: "".join(part + marks for part, marks in pieces))


def holds_a_part(text: str) -> bool:
    return any(part.lower() in text.lower() for part in PARTS)


@given(
    password=PASSWORDS,
    database=st.sampled_from(DATABASES),
    server=st.sampled_from(SERVERS),
    broker=st.sampled_from(BROKERS),
    encoded=st.booleans(),
)
@example(password="Qz7x@Vk3w", database=DATABASES[0], server=SERVERS[0], broker=BROKERS[-3], encoded=False)
@example(password="Qz7x@1847/Vk3w", database=DATABASES[0], server=SERVERS[0], broker=BROKERS[-3], encoded=False)
@example(password="Qz7x/Vk3w", database=DATABASES[3], server=SERVERS[4], broker=BROKERS[-1], encoded=False)
@example(password="1847#Vk3w", database=DATABASES[1], server=SERVERS[0], broker=BROKERS[0], encoded=False)
@example(password="Qz7x%Vk3w", database=DATABASES[5], server=SERVERS[2], broker=BROKERS[-2], encoded=False)
@example(password="Qz7x&Vk3w=1", database=DATABASES[5], server=SERVERS[2], broker=BROKERS[2], encoded=False)
@hypothesis_settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_setting_whatever_its_address_tells_a_part_of_a_password(
    environment: pytest.MonkeyPatch, password: str, database: str, server: str, broker: str, *, encoded: bool
) -> None:
    written = quote(password, safe="") if encoded else password
    for name in ("DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATION_DATABASE_URL"):
        environment.setenv(name, database.format(written))
    environment.setenv("REDIS_URL", server.format(written))
    environment.setenv("CELERY_BROKER_URL", broker.format(written))
    for read in (
        lambda: WebSettings.from_environment(account_forms()),
        lambda: WorkerSettings.from_environment(account_forms()),
        MigrationSettings.from_environment,
        BrokerSettings.from_environment,
    ):
        assert not holds_a_part(_written(read))


def _written(read: Callable[[], object]) -> str:
    """What a process writes that reads its settings, and what a log of them would hold."""
    try:
        return repr(read())
    except SettingsError as error:
        return f"{error}{error.__cause__}"


@given(password=PASSWORDS)
@hypothesis_settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_password_that_is_percent_encoded_reaches_its_server(environment: pytest.MonkeyPatch, password: str) -> None:
    written = quote(password, safe="")
    environment.setenv("DATABASE_URL", DATABASES[0].format(written))
    environment.setenv("REDIS_URL", SERVERS[0].format(written))
    settings = WebSettings.from_environment(account_forms())
    url = settings.database_url.reveal().replace("postgresql+psycopg", "postgresql")
    assert conninfo_to_dict(url)["password"] == password
    with Redis.from_url(settings.redis_url.reveal()) as client:
        assert client.get_connection_kwargs()["password"] == password
    assert unquote(settings.broker_url.reveal()).startswith(f"redis://:{password}@")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://web:p@ss@db/shop"),
        ("DATABASE_URL", "postgresql://web:p@1:2/3@db/shop"),
        ("DATABASE_URL", "postgresql://web:p@a?b@db/shop"),
        ("DATABASE_URL", "postgresql://us/er:pass@db/shop"),
        ("DATABASE_URL", "postgresql:///shop?password=a&b=c"),
        ("REDIS_URL", "redis://:pa/ss@cache/0"),
        ("REDIS_URL", "redis://:1#2@cache/0"),
        ("REDIS_URL", "redis://:p?ss@cache/0"),
        ("REDIS_URL", "redis://:p@ss@cache/0"),
        ("REDIS_URL", "redis://cache:port/0"),
        ("REDIS_URL", "redis://cache/0?password=a&b=c"),
        ("CELERY_BROKER_URL", "amqp://web:pa/ss@broker//"),
        ("CELERY_BROKER_URL", "amqp://web:[ss@broker//"),
    ],
)
def test_an_address_that_can_be_read_in_two_ways_is_refused_by_name(
    environment: pytest.MonkeyPatch, name: str, url: str
) -> None:
    environment.setenv(name, url)
    with pytest.raises(SettingsError) as caught:
        WebSettings.from_environment(account_forms())
    assert {line.partition(":")[0] for line in str(caught.value).splitlines()} == {name}
    assert "%40" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        *((name, GOOD[name]) for name in ("DATABASE_URL", "REDIS_URL")),
        ("DATABASE_URL", "postgresql://web:pa/ss?w#rd@db:5432/shop?sslmode=verify-full&application_name=web"),
        ("DATABASE_URL", "postgresql://web@/shop?host=/run/postgresql"),
        ("DATABASE_URL", "postgresql:///shop?host=/run/postgresql&user=web&password=secret"),
        ("REDIS_URL", "rediss://web:p:ss@cache:6380/2?ssl_cert_reqs=required"),
        ("REDIS_URL", "redis://[2001:db8::1]:6379/0"),
        ("REDIS_URL", "redis://cache"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@broker:5672//"),
        ("CELERY_BROKER_URL", "amqps://web:p%40ss@broker/%2Fshop?ssl_ca_certs=/etc/ca.pem"),
    ],
)
def test_an_address_that_is_clear_is_taken(environment: pytest.MonkeyPatch, name: str, url: str) -> None:
    environment.setenv(name, url)
    assert WebSettings.from_environment(account_forms())
