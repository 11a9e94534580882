"""Payments that had money before there were orders say so, and the release before makes orders from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.conftest import Servers
from tests.migrations.conftest import Alembic

Run = Callable[..., list[Any]]

# As the web tier of the release before opens a session: no holds, no buyer, no vendor's id in its lines.
OPEN = """
    WITH customer AS (INSERT INTO users DEFAULT VALUES RETURNING id),
        cart AS (INSERT INTO carts (user_id) SELECT id FROM customer RETURNING id, user_id),
        payment AS (
            INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
            SELECT user_id, 'mock', :reference, 240, 'USD' FROM cart RETURNING id)
    INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
        payment_token, amount, currency, lines, expires_at)
    SELECT cart.user_id, cart.id, 0, 'key', '', payment.id, 'token', 240, 'USD', jsonb_build_array(jsonb_build_object(
        'listing_id', uuidv7(), 'title', 'Algebra', 'unit_price', '120.00', 'currency', 'USD', 'qty', 2,
        'line_total', '240.00', 'vendor', 'Harbour Books', 'school', NULL, 'spec', NULL)), now() + interval '1 day'
    FROM cart, payment
"""

# As its workers record money: the statements of their transitions.
RECORD = (
    "SELECT carts_lock_for_payments(ARRAY[:reference])::text",
    "SELECT id FROM payments WHERE provider_ref = :reference FOR NO KEY UPDATE",
    """INSERT INTO payment_attempts AS entry (payment_id, provider, attempt_ref, status, reported_at, currency,
        amount_presumed, amount_authorized)
    SELECT id, provider, '', CAST(:status AS attempt_status), now(), currency, CAST(:presumed AS numeric), amount
    FROM payments WHERE provider_ref = :reference
    ON CONFLICT (payment_id, attempt_ref) DO UPDATE SET status = greatest(entry.status, excluded.status),
        amount_presumed = coalesce(excluded.amount_presumed, entry.amount_presumed), version = entry.version + 1""",
    "SELECT status_to FROM payments_fold(ARRAY(SELECT id FROM payments WHERE provider_ref = :reference))",
)


@pytest.fixture
def before(fresh_database: str, alembic: Alembic, servers: Servers) -> Iterator[Run]:
    """Run a statement as "owner", "web" or "worker" of a database of the release before, 0012."""
    alembic("upgrade", "0012")
    database = make_url(fresh_database).database
    urls = {"owner": fresh_database, "web": servers.web_url, "worker": servers.worker_url}
    engines = {
        role: create_engine(make_url(url).set(database=database), isolation_level="READ COMMITTED")
        for role, url in urls.items()
    }

    def run(role: str, *statements: str, **parameters: Any) -> list[Any]:
        rows: list[Any] = []
        with engines[role].begin() as connection:
            for statement in statements:
                given = {name: value for name, value in parameters.items() if f":{name}" in statement}
                result = connection.execute(text(statement), given)
                rows = [tuple(row) for row in result] if result.returns_rows else []
        return rows

    yield run
    for engine in engines.values():
        engine.dispose()


def record(run: Run, reference: str, status: str = "started", presumed: int | None = None) -> None:
    run("worker", *RECORD, reference=reference, status=status, presumed=presumed)


def found(run: Run) -> dict[str, tuple[str | None, str | None]]:
    """Of each payment the status of its order, and why it has none."""
    rows = run(
        "owner",
        """SELECT provider_ref, orders.status::text, reason FROM payments
        LEFT JOIN orders ON orders.payment_id = payments.id
        LEFT JOIN order_reasons AS why ON why.payment_id = payments.id
        ORDER BY provider_ref""",
    )
    return {reference: (status, reason) for reference, status, reason in rows}


def test_payments_of_before_say_so_and_nothing_of_them_changes(before: Run, alembic: Alembic) -> None:
    for reference in ("authorized", "failed", "new", "open", "paid", "part", "refunded"):
        before("web", OPEN, reference=reference)
    record(before, "paid", presumed=240)
    record(before, "part", presumed=40)
    record(before, "refunded", presumed=240)
    record(before, "authorized", "authorized")
    record(before, "failed", "failed")
    columns = "id, status, version, updated_at, review_reason, amount_captured"
    state = f"SELECT {columns} FROM payments WHERE provider_ref <> 'new' ORDER BY id"
    as_it_was = before("owner", state)

    alembic("upgrade", "0015")
    record(before, "new", presumed=240)
    alembic("upgrade", "0016")

    assert found(before) == {
        "authorized": (None, "before_orders"),
        "failed": (None, None),
        "new": ("placed", None),
        "open": (None, None),
        "paid": (None, "before_orders"),
        "part": (None, "before_orders"),
        "refunded": (None, "before_orders"),
    }
    assert before("owner", state) == as_it_was
    record(before, "authorized", presumed=240)
    record(before, "open", presumed=240)
    assert found(before)["authorized"] == (None, "before_orders")
    assert found(before)["open"] == ("placed", None)

    alembic("downgrade", "0015")
    alembic("upgrade", "0016")
    assert found(before)["paid"] == (None, "before_orders")


def test_workers_of_the_release_before_make_orders_beside_0014(before: Run, alembic: Alembic) -> None:
    """Their statements are those of 0012; what comes of them is this release's."""
    before("web", OPEN, reference="captured")
    before("web", OPEN, reference="promised")
    before("owner", "INSERT INTO vendors (name) VALUES ('Harbour Books')")
    alembic("upgrade", "0014")
    before("web", OPEN, reference="later")

    for reference in ("captured", "later"):
        record(before, reference, presumed=240)
    record(before, "promised", "authorized")
    assert set(found(before).values()) == {("placed", None)}
    record(before, "promised", "canceled")

    assert found(before) == {"captured": ("placed", None), "later": ("placed", None), "promised": ("canceled", None)}
    assert before("owner", "SELECT DISTINCT generation FROM carts") == [(1,)]
    assert before("owner", "SELECT count(*), sum(qty) FROM order_lines") == [(3, 6)]
    assert before("worker", "SELECT orders_number('', 10)") == [(3,)]


def test_a_payment_whose_money_moves_before_its_turn_is_of_before(before: Run, alembic: Alembic) -> None:
    before("web", OPEN, reference="part")
    record(before, "part", presumed=40)
    alembic("upgrade", "0014")

    record(before, "part", presumed=240)
    assert found(before) == {"part": (None, "before_orders")}
    alembic("upgrade", "head")

    assert found(before) == {"part": (None, "before_orders")}


def test_requests_of_staff_survive_a_downgrade_to_0014(before: Run, alembic: Alembic) -> None:
    for reference in ("canceled", "fulfilled"):
        before("web", OPEN, reference=reference)
    alembic("upgrade", "head")
    for reference in ("canceled", "fulfilled"):
        record(before, reference, presumed=240)
    for table, reference in (("order_cancellations", "canceled"), ("fulfilments", "fulfilled")):
        before(
            "web",
            f"""INSERT INTO {table} (order_id, requested_by, idempotency_key, request_hash)
            SELECT orders.id, uuidv7(), :reference, '' FROM orders JOIN payments ON payments.id = payment_id
            WHERE provider_ref = :reference""",
            reference=reference,
        )
    kept = """SELECT orders.status::text, fulfilments.order_status::text,
            order_cancellations.payment_id = orders.payment_id
        FROM orders LEFT JOIN fulfilments ON fulfilments.order_id = orders.id
        LEFT JOIN order_cancellations ON order_cancellations.order_id = orders.id ORDER BY orders.status"""
    assert before("owner", kept) == [("fulfilled", "fulfilled", None), ("canceled", None, True)]

    alembic("downgrade", "0014")
    alembic("upgrade", "head")

    assert before("owner", kept) == [("fulfilled", "fulfilled", None), ("canceled", None, True)]
