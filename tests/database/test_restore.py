"""A shop is put back to a moment, by a base backup and archived WAL: its books are right, what it lost comes again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import make_url
from werkzeug.test import TestResponse

from checkout_service.app import create_app
from checkout_service.database.schema import HEAD
from checkout_service.events.queries import EventRow, events_page
from checkout_service.oversight.invariants import count_violations
from checkout_service.oversight.promises import Limits
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings, WorkerSettings
from tests.apps import close_app
from tests.capturing import ask_capture
from tests.conftest import Customer, MakeListing, Servers
from tests.database.standbys import Cluster, Node, cluster
from tests.provider import MockProvider
from tests.purchases import ask, fill_cart, replayed
from tests.refunding import ask_refund, staff_of
from tests.threads.scenes import wait_until
from tests.webhook_bodies import post_webhook, webhook
from worker.captures.capturing import capture
from worker.context import make_context
from worker.events.sequencer import sequence_events
from worker.payments.look_ups import look_up
from worker.refunds.task import refund
from worker.webhooks.task import process

EVENTS_PAST, ORDERS_PAST = 100_000, 5_000


@dataclass(kw_only=True)
class Shop:
    """Web and worker on one server; the provider and the cache are those of every shop here."""

    node: Node
    database: str
    web: Flask
    worker: Flask
    bodies: dict[str, bytes] = field(default_factory=dict)

    def sql(self, query: str, *parameters: Any) -> list[Any]:
        return self.node.sql(query, *parameters, database=self.database)

    def seen_by(self, customer: Customer) -> Customer:
        return replace(customer, client=self.web.test_client())

    def deliver(self, body: bytes) -> str:
        """The provider's webhook is answered 202 and applied; its state then."""
        delivery = post_webhook(self.web.test_client(), body)
        with self.worker.app_context():
            process(str(delivery))
            sequence_events()
        return str(self.sql("SELECT state FROM webhook_deliveries WHERE id = %s", delivery)[0][0])

    def status(self, opened: TestResponse) -> str | None:
        rows = self.sql("SELECT status::text FROM payments WHERE id = %s", opened.json["payment_id"])
        return rows[0][0] if rows else None

    def read(self, after: int) -> tuple[list[EventRow], int]:
        """What a reader of the log gets who goes on behind this number, and the number that it remembers then."""
        events: list[EventRow] = []
        with self.web.app_context():
            while (page := events_page(after, limit=100)).last_seq != after:
                events += page.events
                after = page.last_seq
        return events, after

    def is_well(self) -> bool:
        with self.web.app_context():
            checked = self.web.test_cli_runner().invoke(args=["payments", "check"])
            return checked.exit_code == 0 and not any(count_violations(Limits()).values())

    def last_order(self) -> int:
        return int(self.sql("SELECT coalesce(max(number), 0) FROM orders")[0][0])


@dataclass(kw_only=True)
class Town:
    """Where shops are opened, on servers that are copies of the tests' own."""

    servers: Servers
    settings: WebSettings
    worker_settings: WorkerSettings
    nodes: Cluster
    provider: MockProvider
    ends: ExitStack

    @property
    def archive(self) -> Path:
        return self.nodes.folder / "archive"

    def open(self, node: Node) -> Shop:
        database = str(make_url(self.servers.web_url).database)
        accounts = {"mock": self.provider.account}
        web = create_app(
            replace(self.settings, database_url=Secret(node.url("checkout_web", database)), accounts=accounts)
        )
        worker = make_context(
            replace(self.worker_settings, database_url=Secret(node.url("checkout_worker", database)), accounts=accounts)
        )
        for app in (web, worker):
            self.ends.callback(close_app, app)
        return Shop(node=node, database=database, web=web, worker=worker)

    def pay(self, shop: Shop, opened: TestResponse) -> bytes:
        """The money comes at the provider, which reports it; the webhook's bytes."""
        reference = opened.json["payment_token"]
        self.provider.put(reference, status="paid")
        body = webhook(reference, amount=opened.json["amount"], currency=opened.json["currency"])
        assert shop.deliver(body) == "applied"
        return body

    def promise(self, shop: Shop, opened: TestResponse) -> None:
        """The same of an authorization."""
        reference = opened.json["payment_token"]
        answer = self.provider.http.put(f"/_payments/{reference}/actions/authorize").raise_for_status()
        for report in answer.json()["reports"]:
            assert shop.deliver(webhook(reference, report["status"], **report["details"])) == "applied"


@pytest.fixture
def town(
    servers: Servers, settings: WebSettings, worker_settings: WorkerSettings, mock_provider: MockProvider
) -> Iterator[Town]:
    if "host" not in make_url(servers.web_url).query:
        pytest.skip("NO RESTORE: the tests' PostgreSQL is not ours, so nobody may copy it")
    with cluster() as nodes, ExitStack() as ends:
        town = Town(
            servers=servers,
            settings=settings,
            worker_settings=worker_settings,
            nodes=nodes,
            provider=mock_provider,
            ends=ends,
        )
        nodes.account.own(town.archive)
        yield town


def first_shop(town: Town) -> Shop:
    """A shop that archives its WAL, as docs/availability.md sets it up."""
    node = town.nodes.copy(
        "a",
        of=Path(str(make_url(town.servers.web_url).query["host"])),
        archive_mode="on",
        archive_command=f"test ! -f {town.archive}/%f && cp %p {town.archive}/%f",
    )
    node.start()
    return town.open(node)


def put_back(town: Town, moment: str) -> Shop:
    """A new server on the base backup, which replays the archive up to the moment and is promoted there."""
    node = town.nodes.node(
        "restored",
        restore_command=f"cp {town.archive}/%f %p",
        recovery_target_time=moment,
        recovery_target_action="promote",
    )
    signal = node.data / "recovery.signal"
    signal.touch()
    owner = node.data.stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    node.start()
    wait_until(lambda: node.sql("SELECT pg_is_in_recovery()") == [(False,)], within=60)
    return town.open(node)


def test_a_shop_is_put_back_to_a_moment(
    town: Town, make_listing: MakeListing, customer: Customer, make_customer: Callable[[], Customer]
) -> None:
    listing = make_listing(stock=100)
    shop = first_shop(town)
    carts: dict[UUID, str] = {}

    def bought(who: Customer) -> TestResponse:
        who = shop.seen_by(who)
        carts[who.id] = fill_cart(who, (listing, 1))
        answer = ask(who, carts[who.id])
        assert answer.status_code == 201, answer.text
        return answer

    before_backup = bought(make_customer())
    town.pay(shop, before_backup)
    backup = town.nodes.copy("restored", of=shop.node.sockets)
    town.nodes.run("pg_verifybackup", backup.data)
    before = bought(customer)
    town.pay(shop, before)
    open_then, looked_up, promised = (bought(make_customer()) for _ in range(3))
    town.promise(shop, promised)
    late = make_customer()
    cart = fill_cart(shop.seen_by(late), (listing, 2))
    _, last_seen = shop.read(0)
    ((moment,),) = shop.sql("SELECT clock_timestamp()::text")

    lost_report = town.pay(shop, open_then)
    town.pay(shop, looked_up)
    lost = ask(shop.seen_by(late), cart)
    assert lost.status_code == 201
    town.pay(shop, lost)
    staff = staff_of(shop.seen_by(customer))
    capturer = staff_of(staff, scope="captures").headers
    part = before_backup.json["payment_id"]
    answers = (ask_refund(staff, before.json["payment_id"]), ask_refund(staff, part, "a-part", amount="1.00"))
    for answer in answers:
        assert answer.status_code == 202
        with shop.worker.app_context():
            refund(answer.json["id"])
    assert [each["status"] for each in town.provider.refunds] == ["succeeded"] * 2
    captured = ask_capture(replace(staff, headers=capturer), promised.json["payment_id"])
    assert captured.status_code == 202
    with shop.worker.app_context():
        capture(captured.json["id"])
    assert (shop.status(promised), town.provider.calls["capture"]) == ("paid", 1)
    (_, reader_at), order_seen = shop.read(0), shop.last_order()
    assert reader_at > last_seen
    assert shop.is_well()
    # Named before it is ended: it may be in the archive before anybody can look.
    ((segment,),) = shop.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    shop.sql("SELECT pg_switch_wal()")
    wait_until(lambda: shop.sql("SELECT last_archived_wal FROM pg_stat_archiver")[0][0] >= segment)
    shop.node.kill()

    again = put_back(town, moment)
    assert again.sql("SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert again.sql("SELECT timeline_id FROM pg_control_checkpoint()") == [(2,)]
    assert [again.status(each) for each in (before_backup, before, open_then, looked_up, promised, lost)] == [
        *("paid", "paid", "pending", "pending", "authorized"),
        None,
    ]
    assert again.read(0)[1] == last_seen
    assert again.is_well()

    # What readers and customers have seen is not given to others, however often it is run.
    runner = again.web.test_cli_runner(
        env={"MIGRATION_DATABASE_URL": again.node.url("postgres", again.database).replace("+psycopg", "")}
    )
    words = ["after-restore", "--events-past", str(EVENTS_PAST), "--orders-past", str(ORDERS_PAST)]
    done = [runner.invoke(args=words) for _ in range(2)]
    assert done[0].exit_code == 0, done[0].output
    assert f"the last number was {last_seen}, the next one is {EVENTS_PAST + 1}" in done[0].output
    assert f"the last number was {EVENTS_PAST}, the next one is {EVENTS_PAST + 1}" in done[1].output

    # The cache knows the bytes, and the database does not: they are read like any other.
    assert again.deliver(lost_report) == "applied"
    early = ask_refund(again.seen_by(staff), part, "a-part", amount="1.00")
    assert (early.status_code, early.json["type"].rsplit("/", 1)[-1]) == (503, "still-in-progress")
    assert again.sql("SELECT count(*) FROM look_ups_after_restore") == [(5,)]
    with again.worker.app_context():
        look_up()
        sequence_events()
    assert again.sql("SELECT count(*) FROM look_ups_after_restore") == [(0,)]
    assert [again.status(each) for each in (open_then, looked_up, promised)] == ["paid"] * 3
    following, _ = again.read(reader_at)
    assert {event.type for event in following} >= {"payment.paid", "order.placed"}
    assert all(event.seq > EVENTS_PAST - 1 for event in following)
    assert again.sql("SELECT min(number) FROM orders WHERE number > %s", order_seen - 1) == [(ORDERS_PAST + 1,)]

    # A key that was answered before is answered alike; one that is lost opens its payment once more, the same one.
    kept = ask(again.seen_by(customer), carts[customer.id])
    assert (replayed(kept), kept.json) == (True, before.json)
    known = len(town.provider.payments)
    repeated = ask(again.seen_by(late), cart)
    assert (repeated.status_code, replayed(repeated)) == (201, False)
    assert repeated.json["payment_id"] == lost.json["payment_id"]
    assert repeated.json["payment_token"] == lost.json["payment_token"]
    assert len(town.provider.payments) == known
    again.sql("UPDATE payments SET next_look_up_at = now() WHERE id = %s", UUID(lost.json["payment_id"]))
    with again.worker.app_context():
        look_up()
    assert again.status(lost) == "paid"

    # The refunds were found by the look-up. Of the one nothing is left; the other's key is lost, so it may be that one
    # again, and waits for an operator who has looked.
    staff = again.seen_by(staff)
    for answer, problem in (
        (ask_refund(staff, before.json["payment_id"]), "nothing-left-to-refund"),
        (ask_refund(staff, part, "a-part", amount="1.00"), "not-refundable"),
    ):
        assert (answer.status_code, answer.json["type"].rsplit("/", 1)[-1]) == (409, problem)
    assert len(town.provider.refunds) == 2
    answer = ask_capture(replace(staff, headers=capturer), promised.json["payment_id"])
    assert (answer.status_code, answer.json["type"].rsplit("/", 1)[-1]) == (409, "not-capturable")
    assert town.provider.calls["capture"] == 1
    reasons = again.sql("SELECT review_reason FROM payments WHERE review_reason IS NOT NULL")
    assert reasons == [("refund_mismatch",)] * 2
    assert again.is_well()
    again.sql("UPDATE payments SET review_reason = NULL WHERE id = %s", UUID(part))
    assert ask_refund(staff, part, "another-part", amount="1.00").status_code == 202
