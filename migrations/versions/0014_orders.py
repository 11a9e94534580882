"""Orders, made by ``payments_fold`` in the transaction that first makes their payment paid or authorized. Expands.

Revision: 0014

The release before goes on beside it: whatever its workers record, the fold makes the order. Only the number may then be
missing until the next sweep of this release.

Taken back, the orders are gone: what is paid has reasons of before once it is applied again, numbers begin at 1, and
pieces that were sold and not sent stay reserved until somebody frees them (docs/operating.md, "stock_adds_up").
"""

import re
from pathlib import Path
from typing import Final

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent

PARTS: Final = ("orders", "fold", "rights")


def upgrade() -> None:
    # Nobody's payment is paid between the new tables and the check that asks for their rows: it is one transaction.
    for part in PARTS:
        _run((FOLDER / "orders" / f"{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP TRIGGER payments_have_orders ON payments; DROP TRIGGER orders_wait_for_numbers ON orders")
    op.execute("DROP TRIGGER payments_first_paid_once ON payments")
    before = (FOLDER / "entries" / "fold.sql").read_text(encoding="utf-8")
    for function in ("payment_reasons", "payments_fold", "carts_lock_for_payments"):
        (found,) = re.findall(rf"CREATE (FUNCTION {function}\(.*?\n\$\$;)", before, re.DOTALL)
        _run(f"CREATE OR REPLACE {found}")
    # The replacements forgot where their tables are, and their owner's rights stand as they were.
    op.execute("""
        DO $$
        DECLARE
            owned text;
        BEGIN
            FOREACH owned IN ARRAY ARRAY['payments_fold(uuid[], payment_status[], timestamptz[], bytea[])',
                'carts_lock_for_payments(text[])'] LOOP
                EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', owned, current_schema());
            END LOOP;
        END
        $$
    """)
    op.execute("""
        DROP FUNCTION payments_compute(uuid[], payment_status[], timestamptz[], bytea[]), payments_have_orders(),
            orders_wait_for_numbers(), orders_number(text, integer), order_take_over(uuid),
            orders_settle(uuid[], payment_change[], uuid[], uuid[]), orders_explain(uuid[]),
            orders_pass_on(uuid[], uuid[]), order_pass_on(orders, uuid), orders_follow(uuid[]),
            uuid_in_set(uuid, bigint), orders_write_statuses(uuid[]), orders_write_lines(uuid[]),
            orders_use_up_carts(uuid[], boolean),
            orders_move_stock(uuid[], uuid[], uuid[], uuid[]), orders_hold_what_lacks(uuid[], uuid[]),
            orders_cancel_pieces(uuid[]), orders_shrink_holds(uuid[]), order_line_refunds(uuid),
            orders_statuses(uuid[]), payment_covers(payments), payment_was_paid(payments), payments_first_paid_once(),
            events_follow(payment_change[], uuid[], uuid[], order_status[], uuid[])
    """)
    op.execute(
        "DROP TABLE refund_lines, order_cancellations, fulfilments, order_reasons, order_lines, orders, order_numbers, "
        "order_numbering, unnumbered_orders"
    )
    op.execute("DROP TYPE order_status, payment_change")
    op.execute("""
        ALTER TABLE audit DROP CONSTRAINT audit_action_known, ADD CONSTRAINT audit_action_known CHECK (
            action IN ('process', 'process_all', 'stop', 'look_up', 'review', 'accept', 'fail_capture', 'erase'))
            NOT VALID
    """)
    # What was entered stays in the audit, and is then no reason to stay.
    op.execute("""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM audit WHERE action = 'take_over') THEN
                ALTER TABLE audit VALIDATE CONSTRAINT audit_action_known;
            END IF;
        END
        $$
    """)
    op.execute("ALTER TABLE payments DROP first_paid_at")
    op.execute("ALTER TABLE checkout_sessions DROP buyer, DROP delivery_address")
    op.execute("ALTER TABLE carts RESET (fillfactor)")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
