"""What staff ask of orders: fulfilments, cancellations, refunds by line. Expands.

Revision: 0015

The release before goes on beside it: it knows no orders, and its refunds have no lines.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

FILE: Final = Path(__file__).parent.parent / "orders" / "requests.sql"


def upgrade() -> None:
    statements = FILE.read_text(encoding="utf-8")
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    op.execute("DROP TRIGGER fulfilments_admit ON fulfilments")
    op.execute("DROP TRIGGER order_cancellations_admit ON order_cancellations")
    op.execute("DROP TRIGGER refund_lines_admit ON refund_lines")
    op.execute("DROP TRIGGER refund_lines_add_up ON refund_lines")
    op.execute("""
        DROP FUNCTION fulfilments_admit(), order_cancellations_admit(), orders_cancel_short(integer, uuid),
            refund_lines_admit(), refund_lines_add_up(), order_line_refunded(uuid),
            fulfilment_take_stock(orders, jsonb), fulfilment_lines(uuid, jsonb),
            fulfilment_capture(fulfilments, uuid, numeric), order_for_request(uuid, text)
    """)
    op.execute("ALTER TABLE order_cancellations DROP payment_id, DROP refund_ids, DROP void_id")
    op.execute("ALTER TABLE fulfilments DROP order_status, DROP several_captures, DROP capture_request_id")
    op.execute("""
        REVOKE INSERT (order_id, lines, carrier, tracking, requested_by, idempotency_key, request_hash)
        ON fulfilments FROM checkout_web
    """)
    op.execute("""
        REVOKE INSERT (order_id, reason, requested_by, idempotency_key, request_hash)
        ON order_cancellations FROM checkout_web
    """)
    op.execute("REVOKE INSERT (refund_id, order_line_id, qty, amount) ON refund_lines FROM checkout_web")
