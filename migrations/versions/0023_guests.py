"""Guests of the API, known by a secret token, in one table with those of the shop. Expands.

Revision: 0023

The release before goes on beside it: it knows no Cart-Token, and answers 401 to whoever sends one. Guests of its shop
have no row until this release renews their cookie.
"""

import re
from pathlib import Path
from typing import Final

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "guests"

PARTS: Final = ("guests", "merging", "erasing", "sweeping")

BEFORE: Final = {
    "carts_lock_for_payments": ("orders/orders.sql", "carts_lock_for_payments"),
    "orders_use_up_carts": ("orders/orders.sql", "orders_use_up_carts"),
    "person_erase_rows": ("orders/erasing.sql", "person_erase_step"),
    "person_erase_step": ("events/erasing.sql", "person_erase_step"),
}
"""Functions that are replaced: where each was written before, and under which name."""

OWNED: Final = (
    "carts_lock_for_payments(text[])",
    "person_erase_rows(uuid, interval)",
    "person_erase_step(uuid, interval)",
)
"""Those of them that run as the owner."""


def upgrade() -> None:
    for part in PARTS:
        _run((FOLDER / f"{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Cart-Tokens open nothing any more. What guests bought stays, under ids that lead to nobody."""
    for function, (file, name) in BEFORE.items():
        before = (FOLDER.parent / file).read_text(encoding="utf-8")
        (found,) = re.findall(rf"CREATE (?:OR REPLACE )?FUNCTION {name}(\(.*?\n\$\$;)", before, re.DOTALL)
        _run(f"CREATE OR REPLACE FUNCTION {function}{found}")
    for function in OWNED:
        _run(f"""
            DO $$ BEGIN
                EXECUTE format('ALTER FUNCTION {function} SET search_path = %I, pg_temp', current_schema());
            END $$
        """)
    op.execute("DROP FUNCTION guest_merge(bytea, interval, uuid, text, text, text, integer, integer, numeric)")
    op.execute("DROP FUNCTION order_carts(uuid[]), guests_sweep(interval, timestamptz, uuid, integer)")
    op.execute("DROP TABLE guests")
    op.execute("DROP FUNCTION guests_guard()")


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
