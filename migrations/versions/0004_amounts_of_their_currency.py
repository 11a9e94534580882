"""Amounts get the decimals of their currency: three for KWD, none for JPY. Expands.

Revision: 0004

``numeric`` without scale takes the place of ``numeric(10,2)``. That rewrites no table: tests/migrations/test_amounts.py
looks at the files. ``numeric(19,4)`` would, since its scale is another one. A CHECK holds each amount of ours to its
currency. It is added without a look at the rows that are there, and validated by a statement of its own, which lets
everybody read and write meanwhile. What providers report is held to nothing: it may be anything.
"""

from typing import Final

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS: Final = {
    "payments": ("amount", "amount_refunded", "amount_refunding"),
    "payment_events": ("amount",),
    "checkout_sessions": ("amount",),
    "listings": ("unit_price",),
    "refunds": ("amount",),
    "refund_events": ("amount",),
}

CHECKS: Final = (
    ("payments", "amount_positive", "amount > 0 AND amount < 'Infinity'"),
    ("payments", "amount_of_currency", "amount = round(amount, currency_decimals(currency))"),
    ("checkout_sessions", "amount_of_currency", "amount = round(amount, currency_decimals(currency))"),
    ("listings", "unit_price_positive", "unit_price > 0"),
    ("listings", "unit_price_of_currency", "unit_price = round(unit_price, currency_decimals(currency))"),
    ("refunds", "amount_positive", "amount > 0 AND amount < 'Infinity'"),
    ("refunds", "amount_of_currency", "amount = round(amount, currency_decimals(currency))"),
)

LEFT: Final = """
    DO $$
    BEGIN
        IF EXISTS (SELECT FROM {table} WHERE {column} <> round({column}, 2)) THEN
            RAISE EXCEPTION '{table}.{column} holds amounts with three decimals, which would be rounded';
        END IF;
    END
    $$
"""


def upgrade() -> None:
    # A constraint over a column is looked at anew when the column's type changes: so it goes before, and comes after.
    for table, columns in COLUMNS.items():
        changes = [f"DROP CONSTRAINT IF EXISTS {table}_{check}" for of, check, _ in CHECKS if of == table]
        changes += [f"ALTER {column} TYPE numeric" for column in columns]
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    for table, check, condition in CHECKS:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_{check} CHECK ({condition}) NOT VALID")
    # Outside of the transaction, whose locks let nobody read: VALIDATE takes one that everybody works beside.
    with op.get_context().autocommit_block():
        for table, check, _ in CHECKS:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_{check}")


def downgrade() -> None:
    for table, columns in COLUMNS.items():
        for column in columns:
            op.execute(LEFT.format(table=table, column=column))
        changes = [f"DROP CONSTRAINT {table}_{check}" for of, check, _ in CHECKS if of == table]
        changes += [f"ALTER {column} TYPE numeric(10,2)" for column in columns]
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    op.execute("ALTER TABLE payments ADD CONSTRAINT payments_amount_positive CHECK (amount >= 0.01)")
    op.execute("ALTER TABLE listings ADD CONSTRAINT listings_unit_price_positive CHECK (unit_price > 0)")
    op.execute("ALTER TABLE refunds ADD CONSTRAINT refunds_amount_positive CHECK (amount >= 0.01)")
