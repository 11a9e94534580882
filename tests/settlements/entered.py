"""Settled money as the commands enter it: rows by SQL, as the role that may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tests.conftest import Servers


class Books:
    """One connection of the role of settlements. Each call is a transaction, unless ``transaction`` holds several."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.connection.transaction():
            yield

    def file(self, state: str = "entered", *, provider: str = "stripe", **columns: Any) -> UUID:
        values = {
            "provider": provider,
            "name": "report.csv",
            "sha256": uuid4().bytes * 2,
            "form": "payout_reconciliation.itemized.5",
            "rows": 3,
            "state": state,
        } | columns
        if state == "entered":
            values.setdefault("entered_at", datetime.now(UTC))
        return self.run(self._insert("settlement_files", values), **values)[0][0]

    def payout(self, reference: str = "po_1", **columns: Any) -> UUID:
        values = {
            "provider": "stripe",
            "payout_ref": reference,
            "amount": "138.20",
            "currency": "USD",
            "status": "paid",
            "itemized": True,
        } | columns
        return self.run(self._insert("payouts", values), **values)[0][0]

    def entry(self, file: UUID, reference: str = "txn_1", **columns: Any) -> UUID:
        values: dict[str, Any] = {
            "provider": "stripe",
            "account": "",
            "section": "",
            "entry_ref": reference,
            "kind": "capture",
            "provider_type": "charge",
            "gross": "200.00",
            "fee": "6.10",
            "net": "193.90",
            "currency": "USD",
            "occurred_at": "2026-11-22T23:30:00Z",
            "occurred_local": "2026-11-22 23:30:00",
            "payout_ref": "",
            "about": "none",
            "subject_ref": "",
            "payment_ref": "",
            "merchant_ref": "",
            "description": "",
            "file_id": file,
            "line": 2,
        } | columns
        return self.run(self._insert("balance_entries", values), **values)[0][0]

    def match(self, state: str, entry: UUID | None = None, **columns: Any) -> UUID:
        values = {"provider": "stripe", "account": "", "entry_id": entry, "state": state} | columns
        return self.run(self._insert("settlement_matches", values), **values)[0][0]

    def change(self, payout: UUID, **columns: Any) -> None:
        """Change a payout as the commands do: one more version."""
        changes = ", ".join(f"{name} = %({name})s" for name in columns)
        self.run(
            f"UPDATE payouts SET {changes}, version = version + 1, updated_at = now() WHERE id = %(id)s RETURNING id",
            id=payout,
            **columns,
        )

    def run(self, statement: str, **values: Any) -> list[Any]:
        return self.connection.execute(statement, values).fetchall()

    @staticmethod
    def _insert(table: str, values: dict[str, Any]) -> str:
        return (
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(f'%({name})s' for name in values)}) "
            "RETURNING id"
        )


@contextmanager
def books_of(servers: Servers) -> Iterator[Books]:
    """The books, by the role of settlements."""
    address = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    # One that hangs says where, and holds back no other test.
    with psycopg.connect(address, autocommit=True, options="-c statement_timeout=60s") as connection:
        connection.execute("SET ROLE checkout_settlements")
        yield Books(connection)
