"""Listings come out of a neighbour's view where the schema and the roles have names of their own."""

from __future__ import annotations

import pytest

from checkout_service.catalog.models import SyncState
from checkout_service.catalog.syncing import sync_catalog
from checkout_service.settings.catalog_source import CatalogSettings
from tests.migrations.neighbours import Deployment
from tests.migrations.test_beside_others import Shared, one, shared

__all__ = ["one", "shared"]  # fixtures


def test_a_view_named_by_its_schema_alone_is_synced_into_its_own_deployment(
    shared: Shared, one: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = f"feed_of_{one.names.schema}"
    for name, value in one.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CATALOG_SOURCE", f"{feed}.listings")
    with one.connect("postgres") as admin:
        statements = (
            f"CREATE SCHEMA {feed}",
            f"""CREATE VIEW {feed}.listings AS SELECT id, status AS title, 5 AS unit_price, 'USD' AS currency,
                'Webshop' AS vendor, id % 3 AS stock FROM public.payments""",
            f"GRANT USAGE ON SCHEMA {feed} TO {one.names.worker}",
            f"GRANT SELECT ON {feed}.listings TO {one.names.worker}",
        )
        for statement in statements:
            admin.execute(statement.encode())
        settings = CatalogSettings.from_environment()

        counts = []
        for _ in range(2):
            done = sync_catalog(
                source=settings.source,
                database_url=settings.database_url,
                namespace=settings.namespace,
                statement_seconds=30,
            )
            assert done.state is SyncState.DONE
            counts.append((done.rows, done.new.count, done.changed.count))

        assert counts == [(20, 20, 0), (20, 0, 0)]
        found = admin.execute(f"SELECT count(*) FROM {one.names.schema}.source_listings".encode()).fetchone()
        assert found == (20,)
        admin.execute(f"DROP SCHEMA {feed} CASCADE".encode())
    assert shared.public_now == shared.public_before
