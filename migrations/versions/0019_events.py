"""The log of events. Expands.

Revision: 0019

The release before goes on beside it: what its workers move is in the log, and gets its numbers from this release.
"""

from pathlib import Path
from typing import Final

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FOLDER: Final = Path(__file__).parent.parent / "events"

PARTS: Final = ("log", "bodies", "fold", "sequencer", "entries", "dues", "days", "erasing")


def upgrade() -> None:
    for part in PARTS:
        # Without parameters, so that percent signs and colons are not read as placeholders.
        statements = (FOLDER / f"{part}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


TELLING: Final = {
    "captures": ("captures_tell_of_new", "captures_tell"),
    "capture_requests": ("capture_requests_tell",),
    "refunds": ("refunds_tell_of_new", "refunds_tell"),
    "disputes": ("disputes_tell_of_new", "disputes_tell"),
    "voids": ("voids_tell",),
    "checkout_sessions": ("checkout_sessions_tell",),
}
"""By table, the triggers of entries.sql. The function of each has the name of its table, and _tell."""


def downgrade() -> None:
    op.execute(
        "DROP FUNCTION person_erase_step(uuid, interval), events_erase(uuid, timestamptz, uuid, integer), "
        "events_erase_answers(uuid, timestamptz)"
    )
    op.execute("ALTER FUNCTION person_erase_rows(uuid, interval) RENAME TO person_erase_step")
    op.execute("GRANT EXECUTE ON FUNCTION person_erase_step(uuid, interval) TO checkout_worker")
    for table, triggers in TELLING.items():
        for trigger in triggers:
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"DROP FUNCTION {table}_tell()")
    op.execute(
        "DROP FUNCTION events_sweep_strays(integer, integer), events_drop_day(integer), event_last_before(date), "
        "events_make_days(integer), event_days_made(text), event_partitioned(), event_today(), uuid_of_day(date), "
        "events_write_low_stock(bigint, integer, integer, integer), events_forget_low_stock(integer, integer, uuid), "
        "listing_bodies(uuid[]), events_write_authorizations_expiring(interval, integer, timestamptz, uuid), "
        "events_write_evidence_due(interval, integer), event_payments_lock(uuid[])"
    )
    op.execute(
        "DROP FUNCTION disputes_write_events(text[], uuid[]), dispute_types(disputes, disputes), "
        "dispute_evidence_at(text), capture_bodies(uuid[]), capture_request_bodies(uuid[]), refund_bodies(uuid[]), "
        "dispute_bodies(uuid[])"
    )
    # As migrations/orders/orders.sql has it: nothing follows.
    op.execute("""
        CREATE OR REPLACE FUNCTION events_follow(
            changes payment_change[], ids uuid[], known uuid[], statuses order_status[], closed uuid[]
        ) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END
$$
    """)
    op.execute("""
        DROP FUNCTION events_sequence(text, integer),
            events_write(text[], text[], uuid[], integer[], uuid[], json[]),
            events_write(text[], text[], uuid[], integer[], uuid[], text[]), payment_bodies(uuid[], uuid[]),
            payments_and_orders(uuid[], boolean[], boolean[], uuid[], order_status[]), session_bodies(uuid[]),
            session_body(checkout_sessions, payments, integer),
            event_time(timestamptz), event_amount(numeric, integer), event_places(text)
    """)
    op.execute(
        "DROP TABLE events, unsequenced_events, event_numbers, event_series, event_days, event_types, event_dues"
    )
