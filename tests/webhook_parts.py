"""A database whose webhooks are in parts, for tests that run on both forms of the table."""

from __future__ import annotations

from typing import Final

from sqlalchemy import create_engine, text

TURN: Final = (
    """DO $$
    DECLARE
        day CONSTANT date := (now() AT TIME ZONE 'UTC')::date - {ago};
    BEGIN
        EXECUTE format('ALTER TABLE webhook_deliveries ADD CONSTRAINT %I CHECK (id < %L)',
            to_char(day, '"webhook_deliveries_before_"YYYYMMDD'), uuid_of_day(day));
    END $$""",
    "SELECT webhooks_turn_into_parts({days}, 14)",
)


BACK: Final = """
DO $do$
DECLARE
    definitions text[];
    grants text[];
    each text;
BEGIN
    SELECT array_agg(replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')) INTO definitions
    FROM pg_index WHERE indrelid = 'webhook_deliveries'::regclass AND NOT indisprimary;
    SELECT array_agg(granted) INTO grants FROM (
        SELECT format('GRANT %s ON webhook_deliveries TO %s', privilege_type, grantee::regrole) AS granted
        FROM pg_class, aclexplode(relacl) WHERE oid = 'webhook_deliveries'::regclass AND grantee <> relowner
        UNION ALL
        SELECT format('GRANT %s (%s) ON webhook_deliveries TO %s', privilege_type, attname, grantee::regrole)
        FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'webhook_deliveries'::regclass
    ) AS held;
    CREATE TABLE webhook_deliveries_one (LIKE webhook_deliveries INCLUDING ALL EXCLUDING INDEXES);
    DROP TABLE webhook_deliveries;
    ALTER TABLE webhook_deliveries_one RENAME TO webhook_deliveries;
    ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);
    FOREACH each IN ARRAY definitions || grants LOOP
        EXECUTE each;
    END LOOP;
END
$do$"""


def turn_into_parts(url: str, *, ago: int = 2, days: int = 1) -> None:
    """Turn the empty table into parts of so many days, the first of which ends so many days ago."""
    _as_owner(url, *(statement.format(ago=ago, days=days) for statement in TURN))


def turn_back(url: str) -> None:
    """Make an empty table of it that is one, with everything that it had. Tests alone do so."""
    engine = create_engine(url)
    with engine.connect() as connection:
        (in_parts,) = connection.execute(text("SELECT webhooks_in_parts()")).one()
    engine.dispose()
    if in_parts:
        _as_owner(url, BACK)


def _as_owner(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in ("SET ROLE checkout_owner", *statements):
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        connection.invalidate()  # its role is another one now
    engine.dispose()
