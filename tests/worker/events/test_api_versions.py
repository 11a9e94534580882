"""Endpoints are pinned to a version of the API: bodies of a later one are translated when they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from checkout_service.api_versions import API_VERSIONS, ApiVersion, ApiVersions, UnknownVersionError
from checkout_service.events.posted import PostedEvent
from tests.conftest import Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import MakeShop, Receiver, Send, endpoint_row, event_ids, make_due


def with_status_as_text(event_type: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The way back from a made-up version, in which the status of a payment is an object."""
    if not event_type.startswith("payment."):
        return dict(body)
    return {**body, "status": body["status"]["name"]}


@pytest.fixture
def later() -> Iterator[str]:
    """A later version of the API, for the time of one test."""
    API_VERSIONS.register(ApiVersion("later", with_status_as_text))
    yield API_VERSIONS.newest
    API_VERSIONS.forget_newest()


def write(sql: Sql, version: str, **event: Any) -> None:
    """An event whose body was rendered in this version."""
    seq = insert_event(sql, **event)
    sql(
        """UPDATE events SET api_version = :version FROM event_numbers AS numbers
        WHERE numbers.event_id = events.id AND numbers.seq = :seq""",
        version=version,
        seq=seq,
    )


def bodies(receiver: Receiver, path: str) -> list[Any]:
    return [each.data["data"] for each in receiver.received if each.path == path]


def test_a_pinned_endpoint_is_sent_the_older_form_and_a_new_one_the_newer(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, later: str
) -> None:
    pinned, new = make_shop("/pinned", api_version="1"), make_shop("/new", api_version=later)
    make_shop("/thin", api_version="1", payload="thin")
    written_before = {"id": "a", "status": "paid"}
    written_since = {"id": "b", "status": {"name": "paid", "since": "2026-11-29"}}
    write(sql, "1", body=written_before)
    write(sql, later, body=written_since)
    write(sql, later, type="order.placed", object_type="order", body={"id": "c", "status": {"name": "x"}})
    order = {"id": "c", "status": {"name": "x"}}

    assert send() == 9

    by_id = [{body["id"]: body for body in bodies(receiver, path)} for path in ("/pinned", "/new")]
    assert by_id[0] == {"a": written_before, "b": {"id": "b", "status": "paid"}, "c": order}
    assert by_id[1] == {"a": written_before, "b": written_since, "c": order}, "nothing is rendered again"
    assert [set(body) for body in bodies(receiver, "/thin")] == [{"type", "id", "version"}] * 3
    assert endpoint_row(sql, pinned).place == endpoint_row(sql, new).place == 3


def test_what_waits_is_translated_too_and_what_is_signed_is_what_is_sent(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, later: str
) -> None:
    shop = make_shop(api_version="1")
    write(sql, later, body={"id": "b", "status": {"name": "paid"}})
    sql(
        """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane, next_attempt_at)
        SELECT :id, event_id, seq, type, lane, now() FROM event_numbers""",
        id=shop.id,
    )
    sql("UPDATE webhook_endpoints SET place = 1 WHERE id = :id", id=shop.id)
    make_due(sql, shop)
    assert send() == 1
    assert receiver.received[0].data["data"] == {"id": "b", "status": "paid"}


def test_a_sender_that_does_not_know_the_version_of_a_body_sends_nothing_of_it(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    """Its release is the older one: a sender of the newer one has the way back."""
    shop = make_shop(api_version="1")
    write(sql, "unheard-of", body={"id": "b", "status": {"name": "paid"}})
    with pytest.raises(UnknownVersionError):
        send()
    assert receiver.received == []
    assert endpoint_row(sql, shop).place == 0, "nothing is lost"
    assert event_ids(sql) != []


def test_the_versions_are_a_row_and_each_has_the_way_back() -> None:
    versions = ApiVersions("1")
    versions.register(ApiVersion("2", lambda _, body: {**body, "two": True}))
    versions.register(ApiVersion("3", lambda event_type, body: {**body, "three": event_type}))
    assert (versions.names, versions.newest, "2" in versions) == (("1", "2", "3"), "3", True)

    def shown(written: str, pinned: str) -> dict[str, Any]:
        return versions.translate({}, type="x", written=written, pinned=pinned)

    assert shown("3", "1") == {"three": "x", "two": True}
    assert shown("3", "2") == {"three": "x"}
    assert shown("2", "1") == {"two": True}
    assert shown("1", "3") == shown("3", "3") == {}
    with pytest.raises(UnknownVersionError):
        shown("3", str(uuid4()))
    for refused in (ApiVersion("2", dict), ApiVersion("4", None)):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="a later version"):
            versions.register(refused)


def test_the_database_renders_a_version_that_is_known(sql: Sql) -> None:
    insert_event(sql)
    assert sql("SELECT api_version FROM events")[0].api_version in API_VERSIONS
    assert API_VERSIONS.names == ("1", "2026-11-29"), "no version is made up"


def test_what_was_written_before_a_version_goes_out_as_it_is_to_who_has_that_version() -> None:
    event = PostedEvent(uuid4(), "payment.paid", "payment", uuid4(), 1, datetime.now(UTC), '{"a":1}', "1")
    assert event.payload(thin=False, api_version=API_VERSIONS.newest) is event.payload(thin=False, api_version="1")
