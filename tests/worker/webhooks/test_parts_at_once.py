"""Webhooks in parts: two housekeepings at once, what a killed one leaves, bounds, rights."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from click.testing import Result
from sqlalchemy import make_url

from checkout_service.doctor.findings import Level
from checkout_service.doctor.parts import check_parts
from tests.conftest import ROOT
from tests.webhook_bodies import insert_payment, insert_webhook, post_webhook, state_of, webhook
from tests.worker.webhooks.parts_shop import (
    Shop,
    bind,
    bounds,
    held,
    of_days_ago,
    opened,
    part_of,
    part_over,
    parted,
    parts,
    shop,
    today,
)
from worker.webhooks.parts import turn_parts
from worker.webhooks.task import process

__all__ = ["opened", "parted", "shop"]  # fixtures


# Two at once, and what is left by one that was killed


def connected(shop: Shop) -> psycopg.Connection[Any]:
    """A session of the worker's rights and more, in which nothing is committed by itself."""
    return psycopg.connect(make_url(shop.url).set(drivername="postgresql").render_as_string(False))


def test_of_two_housekeepings_the_second_leaves_what_the_first_is_at(parted: Shop) -> None:
    with connected(parted) as first:
        first.execute("SELECT webhooks_drop_part('30 days')")
        assert turn_parts() == "made 0 parts, dropped none"
    with connected(parted) as first:
        parted.sql(f"DROP TABLE webhook_deliveries_{parts(parted.sql)[-1]}")
        first.execute("SELECT webhooks_make_part(14)")
        assert turn_parts() == "made 0 parts, dropped none"

    before = parts(parted.sql)
    answers: list[str] = []
    with connected(parted) as first:
        first.execute("SELECT webhooks_drop_part('30 days')")
        second = Thread(target=lambda: answers.append(str(parted.sql("SELECT webhooks_drop_part('30 days') AS it"))))
        second.start()
        first.commit()
        second.join()
    assert len(answers) == 1, "whoever waited for the part that is gone goes on"
    assert len(before) - len(parts(parted.sql)) <= 2


def test_the_last_part_stays_and_one_that_is_none_is_made(parted: Shop) -> None:
    for name in parts(parted.sql)[2:]:
        parted.sql(f"DROP TABLE webhook_deliveries_{name}")
    dropped = [row.part for _ in range(3) for row in parted.sql("SELECT part FROM webhooks_drop_part('1 hour')")]
    assert dropped == [f"webhook_deliveries_before_{today() - timedelta(days=40):%Y%m%d}", None, None]
    assert parts(parted.sql) == [part_over()], "or nobody knew any more how long a part is"

    parted.sql(f"DROP TABLE webhook_deliveries_{part_over()}")
    (finding,) = check_parts()
    assert (finding.level, finding.result) == (Level.WRONG, "no part is of days to come")
    assert turn_parts() == "made 3 parts, dropped none"
    (finding,) = check_parts()
    assert finding.level is Level.OK


def test_retention_and_days_ahead_are_within_reason(parted: Shop) -> None:
    assert [row.part for row in parted.sql("SELECT part FROM webhooks_drop_part(NULL)")] == [None]
    young = of_days_ago(parted.sql, 0.01)
    for _ in range(10):
        parted.sql("SELECT part FROM webhooks_drop_part('-10 years')")
    assert [row.id for row in parted.sql("SELECT id FROM webhook_deliveries WHERE id = :id", id=young)] == [young]
    for _ in range(10):
        parted.sql("SELECT outcome FROM webhooks_make_part(100000)")
    last = parts(parted.sql)[-1].partition("_")[2]
    assert last <= f"{today() + timedelta(days=70):%Y%m%d}"


@pytest.fixture
def crowded(parted: Shop) -> Shop:
    """No part was made for long, and so much came meanwhile that nobody could wait until it has moved."""
    for name in parts(parted.sql)[3:]:
        parted.sql(f"DROP TABLE webhook_deliveries_{name}")
    parted.sql("""INSERT INTO webhook_deliveries (id, provider, body, state)
        SELECT uuidv7(interval '-5 days'), 'mock', '', 'applied' FROM generate_series(1, 10001)""")
    return parted


READ_OF_NO_DAY = """SELECT seq_tup_read FROM pg_stat_xact_user_tables
    WHERE relid = CAST('webhook_deliveries_of_no_day' AS regclass)"""


def test_to_make_a_part_reads_no_large_one_under_the_lock_that_everybody_waits_behind(crowded: Shop) -> None:
    """What reads it does so beside whoever writes there."""
    delivery = post_webhook(crowded.client, webhook(insert_payment(crowded.sql)))
    with connected(crowded) as steps:
        (answer,) = steps.execute("SELECT outcome FROM webhooks_make_part(30)").fetchall()
        assert answer == ("bound",)
        steps.commit()
        assert steps.execute("SELECT webhooks_validate_bound()").fetchall() == [(True,)]
        other = post_webhook(crowded.client, webhook(insert_payment(crowded.sql)))
        steps.commit()
        before = steps.execute(READ_OF_NO_DAY).fetchall()[0][0]
        (answer,) = steps.execute("SELECT outcome FROM webhooks_make_part(30)").fetchall()
        assert answer == ("made",)
        read = steps.execute(READ_OF_NO_DAY).fetchall()[0][0] - before
        assert read == 10_001, "to see that it is large, before there is any lock, and not once more under it"
    assert {part_of(crowded.sql, each) for each in (delivery, other)} == {"of_no_day"}
    process(str(delivery))
    assert state_of(crowded.sql, delivery) == "applied"


def test_days_that_have_begun_without_a_part_stay_without_one_and_the_doctor_counts_them(crowded: Shop) -> None:
    assert turn_parts().startswith("made 1 parts")
    assert turn_parts().startswith("made 0 parts")
    assert crowded.sql("SELECT * FROM webhooks_bounds()") == []

    results = [(finding.level, finding.result) for finding in check_parts()]
    assert results == [(Level.OK, "2, made 20 days ahead"), (Level.ADVICE, "10001 are of days that have no part")]


def test_a_bound_that_a_killed_one_left_goes_before_its_day_comes(crowded: Shop) -> None:
    def leave(ahead: int) -> None:
        crowded.sql(f"""ALTER TABLE webhook_deliveries_of_no_day
            ADD CONSTRAINT webhook_deliveries_not_{today() + timedelta(days=ahead):%Y%m%d}_30000101 CHECK (true)""")

    leave(0)
    leave(9)
    levels = [finding.level for finding in check_parts() if "bound" in finding.result]
    assert levels == [Level.WRONG]
    turn_parts()
    (row,) = crowded.sql("SELECT from_day FROM webhooks_bounds()")
    assert row.from_day == today() + timedelta(days=9)


def test_what_moves_is_found_by_index_whatever_the_statistics_say(parted: Shop) -> None:
    parted.sql(f"""INSERT INTO webhook_deliveries_{part_over()} (id, provider, body, state)
        SELECT uuidv7(interval '-35 days'), 'mock', '', 'received' FROM generate_series(1, 3000)""")
    parted.sql(f"ANALYZE webhook_deliveries_{part_over()}")
    parted.sql(f"UPDATE webhook_deliveries_{part_over()} SET state = 'applied'")
    parted.sql(f"DROP TABLE webhook_deliveries_before_{today() - timedelta(days=40):%Y%m%d}")

    with held(parted.url, f"webhook_deliveries_{part_over()}"), connected(parted) as session:
        assert session.execute("SELECT part FROM webhooks_drop_part('30 days')").fetchall() == [("locked",)]
        read = f"SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'webhook_deliveries_{part_over()}'"
        assert session.execute(read.encode()).fetchall()[0][0] in {0, None}


def test_the_way_back_takes_the_bound_of_a_killed_conversion_along(shop: Shop) -> None:
    """The release before would not, and a day later it took no webhook any more."""
    bind(shop.sql, today() + timedelta(days=1))
    (finding,) = check_parts()
    assert finding.level is Level.WRONG
    config = Config(ROOT / "migrations" / "alembic.ini")
    try:
        command.downgrade(config, "0024")
        assert bounds(shop.sql) == []
    finally:
        command.upgrade(config, "head")


def test_of_several_bounds_none_is_left_on_the_parts(shop: Shop) -> None:
    """Else the older one would refuse webhooks one day."""
    for ahead in (3, 2, 4):
        bind(shop.sql, today() + timedelta(days=ahead))

    assert shop.run("partition").exit_code == 0

    assert parts(shop.sql)[0] == f"before_{today() + timedelta(days=4):%Y%m%d}"
    assert bounds(shop.sql) == []
    assert insert_webhook(shop.sql, b"{}", id="uuidv7(interval '5 days')")


def test_of_two_operators_the_second_is_refused_and_leaves_the_first_ones_bound(shop: Shop) -> None:
    results: list[Result] = []
    first = Thread(target=lambda: results.append(shop.run("partition")))
    read = "SELECT FROM webhook_deliveries LIMIT 1"
    with held(shop.url, "webhook_deliveries") as one, connected(shop) as another:
        first.start()
        reader, other = one, another
        while not bounds(shop.sql) and first.is_alive():
            # The bound is let in, with the other one behind it in the queue: so what comes after it is held for sure.
            behind = Thread(target=other.execute, args=(read,))
            behind.start()
            behind.join(0.1)
            reader.rollback()
            behind.join()
            reader, other = other, reader
        bound = bounds(shop.sql)
        second = shop.run("partition")
        assert second.exit_code == 1
        assert "Another one runs this command" in second.output
        assert bounds(shop.sql) == bound != []
    first.join()
    assert [result.exit_code for result in results] == [0]


def test_rights_of_others_are_those_of_before(shop: Shop) -> None:
    """A role with an odd name, one that may hand its right on, and everybody."""
    role = f"Odd role {uuid4().hex[:8]}"
    shop.sql(f'CREATE ROLE "{role}"')
    try:
        shop.sql(f'GRANT SELECT ON webhook_deliveries TO "{role}" WITH GRANT OPTION')
        shop.sql(f'GRANT UPDATE (detail) ON webhook_deliveries TO "{role}"')
        shop.sql("GRANT SELECT (id), INSERT (id) ON webhook_deliveries TO PUBLIC")
        rights = shop.sql(GRANTABLE)
        assert shop.run("partition").exit_code == 0
        assert shop.sql(GRANTABLE) == rights
        (old, *_) = parts(shop.sql)
        assert {
            row.grantee for row in shop.sql(GRANTABLE.replace("'webhook_deliveries'", f"'webhook_deliveries_{old}'"))
        } == {"checkout_owner"}
    finally:
        shop.sql("REVOKE ALL ON webhook_deliveries FROM PUBLIC")
        shop.sql(f'DROP OWNED BY "{role}"')
        shop.sql(f'DROP ROLE "{role}"')


GRANTABLE = """
    SELECT privilege_type, grantee::regrole::text, is_grantable, '' AS name FROM pg_class, aclexplode(relacl)
    WHERE oid = CAST('webhook_deliveries' AS regclass)
    UNION ALL
    SELECT privilege_type, grantee::regrole::text, is_grantable, attname FROM pg_attribute, aclexplode(attacl)
    WHERE attrelid = CAST('webhook_deliveries' AS regclass) AND NOT attisdropped
    ORDER BY 1, 2, 3, 4"""
