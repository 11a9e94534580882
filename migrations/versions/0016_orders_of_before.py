"""Payments that had money before there were orders get a reason why they have none. Expands.

Revision: 0016

In steps by their ids, each a statement of its own, which locks no payment and changes none: traffic goes on beside it,
of this release and of the one before. It may be broken off at any step, and begun again. A payment whose money moves
before its turn gets the reason from the fold, which tells by itself that the money is older than the orders.
"""

from typing import Final

from alembic import op
from sqlalchemy import text

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

PAYMENTS_A_STEP: Final = 20_000

BEGINNING: Final = "00000000-0000-0000-0000-000000000000"

# One snapshot: a payment that is paid in it has its order in it, if there is one.
STEP: Final = text("""
    WITH page AS MATERIALIZED (
        SELECT id, amount_captured > 0 OR status = 'authorized' AS has_money FROM payments
        WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT :most
    ), explained AS (
        INSERT INTO order_reasons (payment_id, reason)
        SELECT page.id, 'before_orders' FROM page
        WHERE page.has_money AND NOT EXISTS (SELECT FROM orders WHERE orders.payment_id = page.id)
        ORDER BY page.id
        ON CONFLICT (payment_id) DO NOTHING
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
""")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        after = BEGINNING
        while after:
            after = op.get_bind().execute(STEP, {"most": PAYMENTS_A_STEP, "after": after}).scalar()


def downgrade() -> None:
    """The reasons stay: 0014 takes them away with their table."""
