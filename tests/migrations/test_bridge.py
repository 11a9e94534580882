"""While workers of the release before still write statuses, their entries follow at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.conftest import Servers
from tests.migrations.conftest import Alembic

Run = Callable[..., list[Any]]

STATUS = "UPDATE payments SET status = '{}', updated_at = now()"


@pytest.fixture
def before(fresh_database: str, alembic: Alembic, servers: Servers) -> Iterator[Run]:
    """Run a statement as "owner", "web" or "worker" of a database that has entries, and none of what is there.

    It holds one payment of 240.00, and expands to the statement before 0007.
    """
    alembic("upgrade", "0005")
    database = make_url(fresh_database).database
    urls = {"owner": fresh_database, "web": servers.web_url, "worker": servers.worker_url}
    engines = {
        role: create_engine(make_url(url).set(database=database), isolation_level="AUTOCOMMIT")
        for role, url in urls.items()
    }

    def run(role: str, statement: str) -> list[Any]:
        with engines[role].connect() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    run(
        "web",
        """WITH me AS (INSERT INTO users DEFAULT VALUES RETURNING id)
        INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT id, 'stripe', 'pi_1', 240, 'USD' FROM me""",
    )
    yield run
    for engine in engines.values():
        engine.dispose()


def state(run: Run) -> tuple[Any, ...]:
    """Status, what came, what was lost and what was given back, as whole numbers, and the reasons."""
    (row,) = run(
        "owner",
        """SELECT status::text, amount_captured::integer, amount_lost::integer, amount_refunded::integer,
            amount_refunding::integer, review_reason FROM payments""",
    )
    return row  # type: ignore[no-any-return]  # a tuple, whatever the driver calls it


def test_each_move_of_an_old_worker_is_entered(before: Run) -> None:
    before("worker", STATUS.format("processing"))
    assert before("owner", "SELECT under_way FROM payments") == [(True,)]
    before("worker", STATUS.format("paid', capture_ref = 'ch_1"))
    assert state(before) == ("paid", 240, 0, 0, 0, None)
    before("worker", STATUS.format("reversed"))

    assert state(before) == ("reversed", 240, 240, 0, 0, None)
    assert before("owner", "SELECT capture_ref, attempt_ref, status::text FROM captures") == [
        ("ch_1", "ch_1", "succeeded")
    ]
    assert before("owner", "SELECT dispute_ref, money_step, money_out FROM disputes") == [("", 1, True)]
    assert before("owner", "SELECT status_from FROM payments_fold(ARRAY(SELECT id FROM payments))") == []


@pytest.mark.parametrize("status", ["failed", "expired", "canceled"])
def test_an_end_is_entered_and_money_after_it_too(before: Run, status: str) -> None:
    before("worker", STATUS.format(status))
    assert state(before) == (status, 0, 0, 0, 0, None)
    before("worker", STATUS.format("paid', review_reason = 'paid_after_close"))

    reason = "paid_after_close"
    assert state(before) == ("paid", 240, 0, 0, 0, reason)


def test_a_reason_is_kept_and_one_that_a_person_took_away_stays_away(before: Run) -> None:
    before("worker", "UPDATE payments SET review_reason = 'mismatch'")
    assert state(before)[-1] == "mismatch"
    before("worker", "UPDATE payments SET review_reason = NULL")
    before("worker", STATUS.format("paid"))
    assert state(before) == ("paid", 240, 0, 0, 0, None)


@pytest.mark.parametrize("way", [["paid"], ["processing", "paid"], ["paid", "reversed"]])
def test_money_that_an_old_worker_enters_ends_the_filling_of_the_cart(before: Run, way: list[str]) -> None:
    """The new web tier opened the session: who buys the same again is no duplicate."""
    before(
        "owner",
        """WITH cart AS (INSERT INTO carts (user_id) SELECT user_id FROM payments RETURNING id, generation)
        INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at)
        SELECT user_id, cart.id, cart.generation, 'key', '', payments.id, 'token', 240, 'USD', '[]', now()
        FROM payments, cart""",
    )

    for status in way:
        before("worker", STATUS.format(status))

    assert before("owner", "SELECT generation FROM carts") == [(1,)]


def test_a_refund_of_a_payment_that_has_no_entries_yet_is_taken(before: Run, alembic: Alembic) -> None:
    """As it was before: paid, and entered by nobody."""
    before("owner", "UPDATE payments SET status = 'paid', capture_ref = 'ch_1'")
    before(
        "web",
        """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash)
        SELECT id, 40, user_id, 'key', '' FROM payments""",
    )
    assert state(before) == ("paid", 240, 0, 0, 40, None)
    before("worker", "UPDATE refunds SET status = 'succeeded', provider_ref = 're_1', next_attempt_at = NULL")
    assert state(before) == ("paid", 240, 0, 40, 0, None)
    before(
        "worker",
        """INSERT INTO refunds (payment_id, provider_ref, amount, status, next_attempt_at)
        SELECT id, 're_2', 10, 'succeeded', NULL FROM payments""",
    )
    assert state(before) == ("paid", 240, 0, 50, 0, None)

    alembic("upgrade", "head")
    assert state(before) == ("paid", 240, 0, 50, 0, None)


def test_a_name_of_two_payments_is_nobodys(before: Run, alembic: Alembic) -> None:
    before(
        "owner",
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT user_id, provider, 'pi_2', amount, currency FROM payments""",
    )
    before("owner", "UPDATE payments SET status = 'paid', capture_ref = 'ch_1'")

    alembic("upgrade", "head")

    assert before("owner", "SELECT status::text, amount_captured::integer FROM payments") == [("paid", 240)] * 2
    assert before("owner", "SELECT count(*) FROM captures") == [(1,)]


def test_after_the_contract_an_old_worker_is_refused_and_nothing_moves(before: Run, alembic: Alembic) -> None:
    alembic("upgrade", "head")

    with pytest.raises(Exception, match="permission denied"):
        before("worker", STATUS.format("paid"))

    assert state(before) == ("pending", 0, 0, 0, 0, None)
