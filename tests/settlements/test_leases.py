"""One fetch at a time: a lease that is given back, that is over after its time, and that no other gives back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from checkout_service.settings.secret import Secret
from checkout_service.settings.settlements import SettlementsSettings
from checkout_service.settlements import leases
from checkout_service.settlements.connecting import SettlementsConnection, connect
from checkout_service.settlements.leases import Lease, LeaseLostError, LeaseTakenError, kept, take_lease
from tests.conftest import Sql
from tests.settlements.commands import Commands, run

__all__ = ["run"]  # a fixture


def settings_of(run: Commands) -> SettlementsSettings:
    return SettlementsSettings(database_url=Secret(run.settings["SETTLEMENTS_DATABASE_URL"]))


@pytest.fixture
def connections(run: Commands) -> Iterator[list[SettlementsConnection]]:
    made = [connect(settings_of(run)) for _ in range(4)]
    yield made
    for connection in made:
        connection.close()


def test_another_one_learns_until_when_it_is_taken(connections: list[SettlementsConnection]) -> None:
    first = take_lease(connections[0], "fetch", lasts=timedelta(minutes=5))
    with pytest.raises(LeaseTakenError) as taken:
        take_lease(connections[1], "fetch")
    assert timedelta(minutes=4) < taken.value.until - datetime.now(UTC) <= timedelta(minutes=5)
    assert take_lease(connections[1], "something else").name == "something else"

    first.end()
    second = take_lease(connections[1], "fetch")
    first.end()
    with pytest.raises(LeaseTakenError):
        take_lease(connections[0], "fetch")
    second.end()


def test_one_that_was_killed_has_it_no_longer_than_its_time_and_loses_it(
    connections: list[SettlementsConnection], sql: Sql
) -> None:
    killed = take_lease(connections[0], "fetch")
    killed.go_on()
    sql("UPDATE settlement_leases SET lease_until = now()")
    killed.go_on()  # nobody has begun meanwhile
    sql("UPDATE settlement_leases SET lease_until = now()")
    other = take_lease(connections[1], "fetch")
    with pytest.raises(LeaseLostError):
        killed.go_on()
    killed.end()
    other.go_on()


def test_of_several_at_once_one_has_it(connections: list[SettlementsConnection]) -> None:
    barrier, taken = threading.Barrier(len(connections)), list[Lease]()

    def take(connection: SettlementsConnection) -> None:
        barrier.wait()
        with suppress(LeaseTakenError):
            taken.append(take_lease(connection, "fetch"))

    threads = [threading.Thread(target=take, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(taken) == 1


def test_it_is_kept_beside_a_statement_that_takes_long_and_given_back_behind_it(
    connections: list[SettlementsConnection], sql: Sql, monkeypatch: pytest.MonkeyPatch, run: Commands
) -> None:
    def until() -> datetime:
        found: datetime = sql("SELECT lease_until FROM settlement_leases")[0].lease_until
        return found

    monkeypatch.setattr(leases, "EACH", timedelta(milliseconds=50))
    lease = take_lease(connections[0], "fetch", lasts=timedelta(seconds=2))
    begun = until()
    with kept(lease, lambda: connect(settings_of(run))):
        connections[0].execute("SELECT pg_sleep(1)")
        assert until() - begun > timedelta(milliseconds=500)
        with pytest.raises(LeaseTakenError):
            take_lease(connections[1], "fetch")
    for _ in range(4):
        assert until() <= datetime.now(UTC), "nobody says behind it that it goes on"
        time.sleep(0.1)
    take_lease(connections[1], "fetch").end()


def test_where_its_connection_is_gone_it_is_given_back_on_another_one_or_is_over_soon(
    connections: list[SettlementsConnection], sql: Sql, run: Commands
) -> None:
    def nobody() -> SettlementsConnection:
        raise psycopg.OperationalError("nobody listens there")

    with kept(take_lease(connections[0], "fetch"), lambda: connect(settings_of(run))):
        connections[0].close()
    second = take_lease(connections[1], "fetch")

    with kept(second, nobody):
        connections[1].close()
    with pytest.raises(LeaseTakenError) as taken:
        take_lease(connections[2], "fetch")
    assert taken.value.until - datetime.now(UTC) <= timedelta(minutes=2)


def test_one_that_is_given_back_is_not_taken_again_by_a_late_word(connections: list[SettlementsConnection]) -> None:
    lease = take_lease(connections[0], "fetch")
    late = replace(lease, connection=connections[1])
    lease.end()
    with pytest.raises(LeaseLostError):
        late.go_on()
    take_lease(connections[2], "fetch").end()


def test_the_connection_is_bounded_in_utc_and_finds_the_deployments_schema_alone(
    connections: list[SettlementsConnection], run: Commands
) -> None:
    def settings(connection: psycopg.Connection[object]) -> list[object]:
        names = ("search_path", "timezone", "statement_timeout", "lock_timeout", "application_name")
        found = [connection.execute(f"SHOW {name}".encode()).fetchone() for name in names]
        return [row[0] for row in found if isinstance(row, tuple)]

    assert settings(connections[0]) == ["public", "UTC", "15min", "15min", "checkout-settlements"]
    assert connections[0].autocommit
    url = Secret(run.settings["SETTLEMENTS_DATABASE_URL"])
    with connect(SettlementsSettings(database_url=url, database_pooler="transaction")) as pooled:
        assert settings(pooled)[2:] == ["0", "0", "checkout-settlements"], "a pooler takes no options"
