"""A payment's reference is unique at its provider, not among all providers. Expands.

Revision: 0032

Two providers may name alike: the second of two such sessions was refused by the index and answered with 502. The index
keeps its name. The new one is made beside traffic, and the two change names in one statement, which locks neither
reads nor writes of the table: at no moment is there none. The release before goes on beside it. It finds payments by
reference alone, along the same index (PostgreSQL skips from provider to provider), and tells them apart by provider
afterwards; no statement of it says ON CONFLICT (provider_ref).

What is erased of a person are webhooks of the payment's own provider. Lines that nobody can buy any more, in a currency
that was withdrawn, keep no guest's cart from a customer's. It may be broken off at any step, and run again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "references"

BY_PROVIDER: Final = "(provider, provider_ref)"
ALONE: Final = "(provider_ref)"

AS_IT_SHALL_BE: Final = """
    EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('idx_payment_provider_ref') AND indisvalid
        AND indisunique AND pg_get_indexdef(indexrelid) LIKE '%USING btree {columns}')
"""

# By name and columns, so that what was broken off is told from what is done. Renaming an index waits for nobody who
# reads or writes the table.
SWAP: Final = f"""
    DO $$ BEGIN
        IF NOT {AS_IT_SHALL_BE} THEN
            ALTER INDEX IF EXISTS idx_payment_provider_ref RENAME TO idx_payment_provider_ref_before;
            ALTER INDEX idx_payment_provider_ref_next RENAME TO idx_payment_provider_ref;
        END IF;
        IF NOT {AS_IT_SHALL_BE} THEN
            RAISE EXCEPTION 'the index idx_payment_provider_ref was not made';
        END IF;
    END $$
"""

REFUSE: Final = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM payments GROUP BY provider_ref HAVING count(*) > 1) THEN
            RAISE EXCEPTION 'two providers name payments alike, which the release before cannot hold: stay on this one';
        END IF;
    END $$
"""

# By the function as it stands: migrations before this one and after it change other lines of it. Each is written so
# that neither form is a part of the other.
OF_PROVIDER: Final = (
    ("webhook.provider_ref = payment.provider_ref",
     "(webhook.provider, webhook.provider_ref) = (payment.provider, payment.provider_ref)"),
    ("webhook.names @> ARRAY[payment.provider_ref])",
     "webhook.names @> ARRAY[payment.provider_ref] AND webhook.provider = payment.provider)"),
    ("webhook.provider_ref = own.provider_ref",
     "(webhook.provider, webhook.provider_ref) = (own.provider, own.provider_ref)"),
    ("SELECT payment.id, payment.provider_ref FROM payments AS payment",
     "SELECT payment.id, payment.provider, payment.provider_ref FROM payments AS payment"),
)  # fmt: skip

# A line has its cart's currency, so it cannot stay where that changes. The customer sees it among the capped ones.
MERGED: Final = (
    ("IF how <> 'mine' AND EXISTS (SELECT FROM cart_items WHERE cart_id = theirs.id) THEN",
     """unsold := cart_drop_withdrawn(how, mine.id, theirs.id);
    theirs.currency := CASE WHEN unsold IS NULL THEN theirs.currency END;
    IF how <> 'mine' AND EXISTS (SELECT FROM cart_items AS own WHERE own.cart_id = theirs.id) THEN"""),
    ("DELETE FROM cart_items WHERE cart_id = theirs.id;",
     """guest.capped := coalesce(unsold, '[]') || guest.capped;
    DELETE FROM cart_items AS item WHERE item.cart_id = theirs.id;"""),
    ("    priced_in char(3);\nBEGIN", "    priced_in char(3);\n    unsold jsonb;\nBEGIN"),
)  # fmt: skip

REWRITE: Final = """
    DO $$
    DECLARE
        written text;
        change text[];
    BEGIN
        SELECT pg_get_functiondef(oid) INTO STRICT written FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND proname = '{function}';
        FOREACH change SLICE 1 IN ARRAY ARRAY[{changes}] LOOP
            IF strpos(written, change[1]) = 0 AND strpos(written, change[2]) = 0 THEN
                RAISE EXCEPTION '{function} does not say: %', change[1];
            END IF;
            written := replace(written, change[1], change[2]);
        END LOOP;
        EXECUTE written;
    END $$
"""


def upgrade() -> None:
    # Without a transaction around it: each statement is one of its own.
    with op.get_context().autocommit_block():
        _replace_index(BY_PROVIDER)
        for name in ("carts_lock.sql", "withdrawn.sql"):
            _run((FOLDER / name).read_text(encoding="utf-8"))
        _rewrite("person_erase_rows", OF_PROVIDER)
        _rewrite("guest_merge", MERGED)


def downgrade() -> None:
    """Not once two providers name payments alike: the release before cannot hold both."""
    _run(REFUSE)
    with op.get_context().autocommit_block():
        _replace_index(ALONE)
        _rewrite("person_erase_rows", [(old, new) for new, old in OF_PROVIDER])
        _rewrite("guest_merge", [(old, new) for new, old in MERGED])
        _run("DROP FUNCTION IF EXISTS cart_drop_withdrawn(text, uuid, uuid)")
    # With the version: every set of events calls it, should this be broken off before.
    _run("DROP FUNCTION carts_lock_for_payments(text[], text[])")


def _replace_index(columns: str) -> None:
    # What was broken off stays behind under its name, perhaps invalid, and is enforced all the same: so it is dropped.
    _beside_traffic("DROP INDEX CONCURRENTLY IF EXISTS idx_payment_provider_ref_next")
    try:
        _beside_traffic(f"CREATE UNIQUE INDEX CONCURRENTLY idx_payment_provider_ref_next ON payments {columns}")
        _run(SWAP.format(columns=columns))
    except DBAPIError:
        _beside_traffic("DROP INDEX CONCURRENTLY IF EXISTS idx_payment_provider_ref_next")
        raise
    for left in ("idx_payment_provider_ref_next", "idx_payment_provider_ref_before"):
        _beside_traffic(f"DROP INDEX CONCURRENTLY IF EXISTS {left}")


def _beside_traffic(statement: str) -> None:
    # It waits for all transactions that are older than it, a dump's too, and stands in front of nobody meanwhile.
    _run("SET lock_timeout = 0")
    try:
        _run(statement)
    finally:
        _run("RESET lock_timeout")


def _rewrite(function: str, changes: Iterable[tuple[str, str]]) -> None:
    pairs = ", ".join(f"ARRAY[$of${old}$of$, $of${new}$of$]" for old, new in changes)
    _run(REWRITE.format(function=function, changes=pairs))


def _run(statements: str) -> None:
    # Without parameters, so that percent signs and colons are not read as placeholders.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
