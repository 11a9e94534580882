"""A rejected webhook is kept by what it names: a flood that names nothing costs none that names a payment."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from tests.conftest import Sql, Statements
from tests.crowd import at_once
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from tests.worker.conftest import MakeWorker
from tests.worker.webhooks.test_rejected import _run, dropped
from worker.webhooks.rejected import PAYMENT_BYTES, PAYMENT_ROWS
from worker.webhooks.task import process

_moments = count(1)


def file(sql: Sql, reference: str, *, size: int = 0, provider: str = "mock") -> UUID:
    """An unverified webhook that names this payment, newer than all before it."""
    body = webhook(reference, secret="a guess", padding="x" * size)
    age = f"now() - interval '1 hour' + interval '{next(_moments)} milliseconds'"
    if provider == "mock":
        return insert_webhook(sql, body, received_at=age)
    return sql(
        f"INSERT INTO webhook_deliveries (provider, body, received_at) VALUES (:provider, :body, {age}) RETURNING id",
        provider=provider,
        body=body,
    )[0].id


def flood(sql: Sql, many: int, *, provider: str = "mock") -> list[UUID]:
    """Unverified webhooks that name nothing."""
    return [file(sql, f"mock_pi_nobody_{next(_moments)}", provider=provider) for _ in range(many)]


def kept(sql: Sql) -> list[UUID]:
    return [row.id for row in sql("SELECT id FROM webhook_deliveries WHERE state = 'rejected' ORDER BY received_at")]


def classes(sql: Sql) -> dict[UUID, int]:
    return {row.id: row.rejected_class for row in sql("SELECT id, rejected_class FROM webhook_deliveries")}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", 1),
        ("processing", 1),
        ("failed", 1),
        ("authorized", 1),
        ("paid", 1),
        ("reversed", 1),
        ("expired", 2),
        ("canceled", 2),
    ],
)
@pytest.mark.usefixtures("worker")
def test_the_class_of_a_rejected_webhook_is_that_of_the_payment_in_it(sql: Sql, status: str, expected: int) -> None:
    reference = insert_payment(sql, status=status)
    named, unknown = file(sql, reference), file(sql, "mock_pi_nobody")

    process(str(named))

    assert classes(sql) == {named: expected, unknown: 3}
    rows = sql("SELECT rejected_payment, provider_ref FROM webhook_deliveries WHERE id = :id", id=named)
    (payment,) = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)
    assert [tuple(row) for row in rows] == [(payment.id, None)], "nobody vouches for it, so it is about nothing yet"


@pytest.mark.usefixtures("worker")
def test_every_name_of_ours_and_of_the_provider_leads_to_the_payment(sql: Sql) -> None:
    reference = insert_payment(sql)
    (payment,) = sql("SELECT id FROM payments")
    entries = {
        "attempt_ref": "payment_attempts (payment_id, provider, attempt_ref, status, reported_at) "
        "VALUES (:id, 'mock', :name, 'authorized', now())",
        "capture_ref": "captures (payment_id, provider, capture_ref, status, currency) "
        "VALUES (:id, 'mock', :name, 'pending', 'USD')",
        "dispute_ref": "disputes (payment_id, provider, dispute_ref, stage, status) "
        "VALUES (:id, 'mock', :name, 'inquiry', 'won')",
    }
    for name, values in entries.items():
        sql(f"INSERT INTO {values}", id=payment.id, name=f"a {name}")
    named = [
        file(sql, name)
        for name in (reference, f"mock_pi_{payment.id.hex}", str(payment.id), *(f"a {e}" for e in entries))
    ]

    process(str(named[0]))

    assert classes(sql) == dict.fromkeys(named, 1)


@pytest.mark.usefixtures("worker")
def test_a_name_of_another_providers_payment_is_none(sql: Sql) -> None:
    reference = insert_payment(sql, provider="standard", provider_ref="inhouse-1")
    (payment,) = sql("SELECT id FROM payments")
    named = [file(sql, reference), file(sql, f"mock_pi_{payment.id.hex}")]

    process(str(named[0]))

    assert classes(sql) == dict.fromkeys(named, 3)


@pytest.mark.usefixtures("worker")
def test_webhooks_of_a_provider_without_an_account_are_kept_by_what_they_name_too(sql: Sql) -> None:
    """Its secret may be what is missing."""
    insert_payment(sql, provider="mollie", provider_ref="tr_7UhSN1zuXS")
    (own, other) = (
        sql("INSERT INTO webhook_deliveries (provider, body) VALUES ('mollie', :body) RETURNING id", body=body)[0].id
        for body in (b"id=tr_7UhSN1zuXS", b"id=tr_another")
    )

    process(str(own))

    assert classes(sql) == {own: 1, other: 3}


def test_a_flood_that_names_nothing_drops_none_that_names_a_payment_whichever_came_first(
    sql: Sql, make_worker: MakeWorker
) -> None:
    before = dropped("open"), dropped("known"), dropped()
    with make_worker(rejected_max_rows=5).app_context():
        first = flood(sql, 10)
        process(str(first[0]))
        named = [file(sql, insert_payment(sql, status=status)) for status in ("pending", "paid", "expired", "canceled")]
        process(str(named[0]))
        last = flood(sql, 10)
        process(str(last[0]))

    assert kept(sql) == [*named, *last[5:]]
    assert (dropped("open"), dropped("known"), dropped()) == (before[0], before[1], before[2] + 15)


def test_a_flood_at_one_providers_path_drops_no_other_providers(sql: Sql, make_worker: MakeWorker) -> None:
    with make_worker(rejected_max_rows=5).app_context():
        own = flood(sql, 5)
        process(str(own[0]))
        others = [flood(sql, 9, provider=provider) for provider in ("stripe", "paypal", "adyen")]
        process(str(others[0][0]))

    assert set(kept(sql)) == {*own, *(one for each in others for one in each[4:])}


def test_who_knows_a_closed_payment_drops_none_of_an_open_one_and_none_of_another(
    sql: Sql, make_worker: MakeWorker
) -> None:
    closed, another, still_open = (insert_payment(sql, status=status) for status in ("expired", "canceled", "pending"))
    with make_worker().app_context():
        own = [file(sql, another), file(sql, still_open)]
        many = [file(sql, closed) for _ in range(3 * PAYMENT_ROWS)]
        process(str(many[0]))

    assert kept(sql) == [*own, *many[-PAYMENT_ROWS:]]


def test_a_customer_who_knows_their_own_reference_pushes_out_only_themselves(sql: Sql, make_worker: MakeWorker) -> None:
    mine, theirs = insert_payment(sql), insert_payment(sql)
    before = dropped("open")
    with make_worker(rejected_open_max_rows=PAYMENT_ROWS + 2).app_context():
        own = [file(sql, theirs), file(sql, theirs)]
        for _ in range(4):
            many = [file(sql, mine) for _ in range(PAYMENT_ROWS)]
            process(str(many[0]))

    assert kept(sql) == [*own, *many]
    assert dropped("open") == before + 3 * PAYMENT_ROWS


def test_one_payments_webhooks_have_so_many_bytes_in_all_and_the_newest_alone_has_its_place(
    sql: Sql, make_worker: MakeWorker
) -> None:
    mine, theirs = insert_payment(sql), insert_payment(sql)
    with make_worker().app_context():
        own = file(sql, theirs)
        many = [file(sql, mine, size=PAYMENT_BYTES // 3) for _ in range(5)]
        process(str(many[0]))
        assert kept(sql) == [own, *many[-2:]]
        largest = file(sql, mine, size=PAYMENT_BYTES - 300)
        process(str(largest))

    assert kept(sql) == [own, largest]


@pytest.mark.parametrize(("status", "setting"), [("pending", "rejected_open"), ("expired", "rejected_known")])
@pytest.mark.parametrize("bound", ["rows", "bytes"])
def test_each_class_has_bounds_of_its_own(
    sql: Sql, make_worker: MakeWorker, status: str, setting: str, bound: str
) -> None:
    references = [insert_payment(sql, status=status) for _ in range(6)]
    named = [file(sql, reference) for reference in references]
    many = flood(sql, 3)
    size = sql("SELECT max(octet_length(body)) AS size FROM webhook_deliveries WHERE id = :id", id=named[0])[0].size
    with make_worker(**{f"{setting}_max_{bound}": 4 * (size if bound == "bytes" else 1)}).app_context():
        process(str(named[0]))

    assert kept(sql) == [*named[2:], *many], "the oldest of its own class"


def test_in_a_full_class_the_payments_that_keep_the_most_make_room(sql: Sql, make_worker: MakeWorker) -> None:
    """Somebody with many payments of their own floods with each of them."""
    own = [file(sql, reference) for reference in (insert_payment(sql), insert_payment(sql)) for _ in range(3)]
    theirs = [insert_payment(sql) for _ in range(4)]
    with make_worker(rejected_open_max_rows=20).app_context():
        process(str(own[0]))
        for _ in range(3):
            many = [file(sql, reference) for _ in range(5) for reference in theirs]
            process(str(many[0]))

    assert set(kept(sql)) == {*own, *many[-14:]}


def test_the_bounds_of_all_classes_are_exact_under_many_workers(sql: Sql, make_worker: MakeWorker) -> None:
    mine, theirs = insert_payment(sql), [insert_payment(sql) for _ in range(6)]
    for _ in range(3):
        sql("TRUNCATE webhook_deliveries")
        own = [file(sql, reference) for reference in theirs]
        many = [file(sql, mine) for _ in range(40)]
        nothing = flood(sql, 30)
        sql("UPDATE webhook_deliveries SET attempts = 1, next_attempt_at = now()")
        workers = [make_worker(rejected_max_rows=7) for _ in range(4)]
        shares = [[*own, *many, *nothing][turn::4] for turn in range(4)]

        at_once([lambda app=app, share=share: _run(app, share) for app, share in zip(workers, shares, strict=True)])

        rows = sql("SELECT rejected_class, count(*) FROM webhook_deliveries WHERE state = 'rejected' GROUP BY 1")
        held = {row.rejected_class: row.count for row in rows}
        assert held == {1: len(own) + PAYMENT_ROWS, 3: 7}
        assert set(own) <= set(kept(sql))


def test_who_replays_webhooks_at_this_moment_is_not_waited_for(
    sql: Sql, make_worker: MakeWorker, superuser: Engine
) -> None:
    """The oldest is held by a command that takes it: it is no longer among the rejected when that is over."""
    with make_worker(rejected_max_rows=3).app_context():
        many = flood(sql, 3)
        process(str(many[0]))
        with superuser.connect().execution_options(isolation_level="READ COMMITTED") as other:
            other.execute(text("SELECT FROM webhook_deliveries WHERE id = :id FOR UPDATE"), {"id": many[0]})
            more = flood(sql, 1)
            process(str(more[0]))

    assert kept(sql) == [*many, *more], "one too many, until the next one comes"


def test_a_set_takes_the_same_statements_however_much_it_names(
    sql: Sql, make_worker: MakeWorker, statements: Statements
) -> None:
    def cost(many: int) -> int:
        named = [file(sql, insert_payment(sql)) for _ in range(many)]
        with make_worker().app_context(), statements() as seen:
            process(str(named[0]))
        return len(seen)

    assert cost(1) == cost(40)


def test_what_the_release_before_rejected_is_of_the_lowest_class(sql: Sql, make_worker: MakeWorker) -> None:
    with make_worker(rejected_max_rows=2).app_context():
        old = [
            insert_webhook(
                sql,
                webhook(insert_payment(sql), secret="a guess"),
                state="'rejected'",
                attempts=1,
                next_attempt_at="NULL",
                received_at="now() - interval '2 hours'",
            )
            for _ in range(2)
        ]
        new = flood(sql, 1)
        process(str(new[0]))

    assert kept(sql) == [old[1], *new]
