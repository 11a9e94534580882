"""Addresses of the cache and the broker: both read one alike, and what one of them could not use is refused."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import pytest
from kombu import Connection
from redis import Redis

from checkout_service.publishing.broker import celery_broker
from checkout_service.settings.server_addresses import celery_url, fault_of_broker, fault_of_cache
from checkout_service.settings.values import BrokerSettings, SettingsError
from tests.settings.test_settings import environment

__all__ = ["environment"]

CACHES: Final = (
    "redis://cache",
    "redis://cache:6380/",
    "redis://:p%40ss@cache:6380/2",
    "redis://web:p:ss@[2001:db8::1]:6379?db=3",
    "rediss://cache/1",
    "rediss://web:p%2Fss@cache:6380/1?ssl_ca_certs=/etc/my%20ca.pem&ssl_certfile=/a.pem&ssl_keyfile=/a.key",
    "rediss://cache?db=4&ssl_cert_reqs=required&ssl_check_hostname=True",
    "rediss://cache?ssl_ca_certs=/a%2Bb%20c%2541.pem",
    "unix:///run/valkey.sock",
    "unix://:p%40ss@/run/my%20valkey.sock?db=5",
    "unix://web:p+ss@/run/valkey.sock",
)
ALIKE: Final = ("path", "db", "username", "password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

REFUSED: Final = {
    "sentinel://a:26379;sentinel://b:26379": "HAProxy with a check of the role",
    "redis+sentinel://a/0": "HAProxy with a check of the role",
    "redis+socket:///run/valkey.sock": "unix:///run/valkey.sock",
    "redis://a;redis://b": "HAProxy with a check of the role",
    "unix://run/valkey.sock": "three strokes",
    "unix://": "names no socket",
    "unix:///": "names no socket",
    "unix:///run/valkey.sock?virtual_host=1": "none of db",
    "unix:///run/valkey.sock?ssl_ca_certs=/ca.pem": "options of TLS, and no TLS",
    "redis://a/0?ssl_cert_reqs=required": "begin with rediss://",
    "redis://a/shop": "number of a database",
    "redis://a/0/1": "number of a database",
    "redis://a?db=one": "db is not the number",
    "redis://a/1?db=2": "twice",
    "redis://a?db=1&db=2": "twice",
    "redis://a?db=": "without a value",
    "redis://a?Qz7x=1": "none of db",
    "redis://a?socket_timeout=5": "none of db",
    "rediss://a?ssl_cert_reqs=none": "does not verify",
    "rediss://a?ssl_cert_reqs=optional": "does not verify",
    "rediss://a?ssl_cert_reqs=REQUIRED": "does not verify",
    "rediss://a?ssl_check_hostname=false": "does not verify",
    "rediss://a?ssl_keyfile=/a.key": "ssl_certfile",
    "rediss://a?ssl_ca_certs=/a+b.pem": "has a + in an option: write it as %2B",
    "rediss://a?ssl_ca_certs=": "without a value",
    "redis://": "names no host",
    "http://a": "must begin with redis://",
}
REFUSED_BROKERS: Final = {
    **{address: fault for address, fault in REFUSED.items() if address != "http://a"},
    "amqp://a/shop?heartbeat=10": "may have no options",
    "amqp://a?ssl_ca_certs=/ca.pem": "begin with amqps://",
    "amqps://a?Qz7x=1": "none of ssl_ca_certs",
    "amqps://a?ssl_cert_reqs=none": "does not verify",
    "amqp://a;amqps://b": "write all as amqps://",
    "amqp://a;redis://b": "share no queue",
    "amqp://a/v1;amqp://b/v2": "several virtual hosts",
    "amqp://a/v1;amqp://b/v1;amqp://c": "several virtual hosts",
    "amqp://a//v1;amqp://b/v1": "several virtual hosts",
    "amqp://a//;amqp://b/v1": "several virtual hosts",
    "amqps://a?ssl_ca_certs=/a+b.pem": "has a + in an option",
    "amqp://a;": "must begin with",
    "http://a": "must begin with",
}


@pytest.mark.parametrize("address", CACHES)
def test_the_cache_and_the_broker_read_an_address_alike(address: str) -> None:
    assert fault_of_cache(address) is None
    assert fault_of_broker(address) is None
    with Redis.from_url(address) as client, Connection(celery_url(address)) as connection:
        ours = client.get_connection_kwargs()
        theirs = connection.transport.Channel._connparams(_channel(connection))
    assert {name: theirs.get(name) for name in ALIKE} == {name: ours.get(name) for name in ALIKE} | {
        "db": ours.get("db") or 0
    }
    if address.startswith("unix"):
        assert "host" not in theirs
    else:
        assert (theirs["host"], theirs["port"]) == (ours["host"], ours.get("port", 6379))
    if address.startswith("rediss"):
        made = theirs["connection_class"](
            **{name: value for name, value in theirs.items() if name.startswith(("ssl", "host"))}
        )
        assert (made.cert_reqs.name, made.check_hostname) == ("CERT_REQUIRED", True)


def _channel(connection: Connection) -> object:
    """A channel that is not connected, for what it would connect with."""
    channel = connection.transport.Channel.__new__(connection.transport.Channel)
    channel.connection = connection.transport
    return channel


@pytest.mark.parametrize("address", REFUSED)
def test_what_one_of_the_two_could_not_use_is_no_address_of_the_cache(address: str) -> None:
    assert REFUSED[address] in str(fault_of_cache(address))
    assert "Qz7x" not in str(fault_of_cache(address))


@pytest.mark.parametrize("address", REFUSED_BROKERS)
def test_nor_of_the_broker(address: str) -> None:
    assert REFUSED_BROKERS[address] in str(fault_of_broker(address))
    assert "Qz7x" not in str(fault_of_broker(address))


def test_several_nodes_of_rabbitmq_are_one_broker() -> None:
    several = "amqp://web:p%40ss@a//;amqp://web:p%40ss@b:5673/%2F;amqp://c;amqp://d/"
    assert fault_of_broker(several) is None
    assert celery_url(several) == several
    encrypted = "amqps://a/%73hop;amqps://b/shop?ssl_ca_certs=/c%2Ba.pem"
    assert fault_of_broker(encrypted) is None
    assert celery_url(encrypted) == (
        "amqps://a/%73hop?ssl_cert_reqs=required&ssl_check_hostname=true;"
        "amqps://b/shop?ssl_cert_reqs=required&ssl_check_hostname=true&ssl_ca_certs=%2Fc%2Ba.pem"
    )


def test_nodes_are_of_one_virtual_host_as_celery_reads_it() -> None:
    for path in ("", "/", "//", "/%2F", "/shop", "//shop", "/%2Fshop", "/a/b"):
        with Connection(f"amqp://a{path}") as connection:
            host = connection.virtual_host
        assert fault_of_broker(f"amqp://a{path};amqp://b/{quote(host, safe='')}") is None, path


def test_celery_takes_the_translation_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "unix:///run/valkey.sock")
    found = celery_broker("unix:///run/valkey.sock?db=2")
    assert found["broker_read_url"] == found["broker_write_url"] == "redis+socket:///run/valkey.sock?virtual_host=2"


@pytest.mark.parametrize("name", ["CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"])
def test_what_celery_alone_would_read_is_refused(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "redis://elsewhere")
    with pytest.raises(SettingsError, match=f"^{name}: "):
        BrokerSettings.from_environment()
