"""The doctor tells why a server does not answer, and no part of a password, whatever the address."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

import psycopg
import pytest
from amqp.exceptions import AccessRefused
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from checkout_service.doctor import broker, clocks
from checkout_service.doctor.cli import CHECKS, doctor
from checkout_service.doctor.reasons import reason
from checkout_service.publishing.publisher import QueueUnavailableError
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, make_app
from tests.conftest import ROOT

__all__ = ["make_app"]

PARTS: Final = ("Qz7x", "Vk3w", "1847")

# As settings refuse them, and some that they take: the doctor trusts neither.
ADDRESSES: Final = {
    "a clear one": "{}://web:Qz7xVk3w1847@127.0.0.1:1/0",
    "an @ in the password": "{}://web:Qz7x@Vk3w1847.invalid:1/0",
    "a port in the password": "{}://web:1847@127.0.0.1:1847/Vk3w",
    "a slash in the password": "{}://Qz7x.invalid:1847/Vk3w@127.0.0.1:1/0",
    "a port that is none": "{}://:Qz7x:Vk3w/1847@127.0.0.1/0",
    "half of IPv6": "{}://web:[Qz7x@127.0.0.1:1/0",
    "in the query": "{}://127.0.0.1:1/0?password=Qz7x&Vk3w=1847",
    "a word": "Qz7xVk3w1847",
}


def holds_a_part(text: str) -> bool:
    return any(part.lower() in text.lower() for part in PARTS)


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_no_check_of_broker_and_cache_tells_a_part(
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    scheme: str,
    address: str,
) -> None:
    url = Secret(address.format(scheme))
    app = make_app()
    monkeypatch.setattr(clocks, "seconds_ahead", lambda: 0.0)  # the database's clock is not the subject
    object.__setattr__(app.extensions["settings"], "broker_url", url)
    object.__setattr__(app.extensions["settings"], "redis_url", url)
    monkeypatch.setattr(
        "checkout_service.doctor.cli.CHECKS", [broker.check_broker, clocks.check_clocks, clocks.check_workers]
    )

    done = app.test_cli_runner().invoke(doctor)

    assert done.exception is None or isinstance(done.exception, SystemExit), "what breaks a check is told in its line"
    assert "broker" in done.output
    captured = capfd.readouterr()
    assert not holds_a_part(done.output + captured.out + captured.err), done.output


@pytest.mark.parametrize(
    "url", [address.format("postgresql+psycopg") for address in ADDRESSES.values()], ids=ADDRESSES.keys()
)
def test_no_check_of_the_workers_database_tells_a_part(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    for name, value in {
        "WORKER_DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1",
        "MOCK_WEBHOOK_SECRETS": "s",
    }.items():
        monkeypatch.setenv(name, value)
    app = make_app()
    roles = next(check for check in CHECKS if check.__name__ == "check_roles")
    monkeypatch.setattr("checkout_service.doctor.cli.CHECKS", [roles])

    done = app.test_cli_runner().invoke(doctor)

    assert "web role" in done.output
    captured = capfd.readouterr()
    assert not holds_a_part(done.output + captured.out + captured.err), done.output


def _raised() -> Iterator[tuple[BaseException, str]]:
    refused = psycopg.errors.InvalidPassword("no password supplied for Qz7x")
    yield refused, "the password is refused"
    yield psycopg.errors.InvalidCatalogName('database "Vk3w" does not exist'), "there is no such database"
    yield psycopg.OperationalError("failed to resolve host 'Qz7x'"), "it cannot be reached (OperationalError)"
    yield AuthenticationError("WRONGPASS Qz7x"), "user or password are refused"
    yield ResponseError("unknown command Qz7x"), "it refuses the command"
    yield TimeoutError("Qz7x"), "no answer in time"
    yield ConnectionRefusedError(111, "connecting to Qz7x"), "connection refused"
    outer = RedisConnectionError("Error 111 connecting to Qz7x:1847")
    outer.__cause__ = ConnectionRefusedError(111, "Qz7x")
    yield outer, "connection refused"
    queue = QueueUnavailableError("Qz7x")
    queue.__cause__ = AccessRefused("Vk3w")
    yield queue, "user or password are refused"
    yield ValueError("Port could not be cast to integer value as 'Qz7x'"), "it cannot be reached (ValueError)"


@pytest.mark.parametrize(("error", "words"), list(_raised()))
def test_a_reason_is_in_our_own_words(error: BaseException, words: str) -> None:
    assert reason(error) == words


def test_no_check_shows_the_text_of_an_error() -> None:
    """A driver quotes what it was given."""
    for path in (ROOT / "checkout_service" / "doctor").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for handler in ast.walk(tree):
            if not isinstance(handler, ast.ExceptHandler) or "SettingsError" in ast.unparse(handler.type or handler):
                continue
            written = ast.unparse(handler)
            assert f"str({handler.name})" not in written, path
            assert f"{{{handler.name}" not in written, path
            assert f"repr({handler.name})" not in written, path
