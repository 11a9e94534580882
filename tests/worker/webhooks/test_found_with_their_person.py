"""A webhook whose look-up told nothing that has a name of its own is exported and erased all the same."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from checkout_service.privacy.export import HELD
from tests.conftest import Sql
from tests.providers.kits.mollie import event_body, sign
from tests.webhook_bodies import state_of, status_of
from tests.worker.other_providers import Wallets
from tests.worker.webhooks.test_mollie_signed import classic, news, switch
from worker.transitions import entering

NAME = "Ada Lovelace"


@pytest.fixture
def moved(wallets: Wallets, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """A full webhook with a name in its body, whose look-up told that nothing is under way any more."""
    monkeypatch.setattr(entering, "LOOKED_UP_BEFORE", timedelta(0))
    switch(wallets)
    bank, reference = wallets.mollie, wallets.open("mollie").provider_ref
    bank.payments[reference]["status"] = "pending"
    news(wallets, classic(reference))
    assert status_of(sql, reference) == "processing"
    bank.payments[reference]["status"] = "open"
    named = bank.payments[reference] | {"details": {"consumerName": NAME}}
    delivery = news(wallets, sign(event_body("payment.of_next_year", reference, named)), received_at="now()")
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "pending")
    bank.payments[reference]["status"] = "canceled"
    news(wallets, classic(reference))
    return delivery


def test_it_is_exported(moved: UUID, sql: Sql) -> None:
    table, where = HELD["webhook"]
    (payment,) = sql("SELECT user_id FROM payments")
    found = [row.id for row in sql(f"SELECT id FROM {table} WHERE {where}", user=payment.user_id)]
    assert moved in found


def test_it_is_erased(moved: UUID, sql: Sql) -> None:
    (payment,) = sql("SELECT user_id FROM payments")
    (command,) = sql(
        """INSERT INTO audit (key, door, operator, action, subject, why)
        VALUES (gen_random_uuid(), 'cli', 'ops', 'erase', :user, 'a request in writing') RETURNING id""",
        user=str(payment.user_id),
    )
    kinds = []
    while "done" not in kinds:
        kinds += [row.kind for row in sql("SELECT kind FROM person_erase_step(:command)", command=command.id)]
        assert len(kinds) < 60, kinds
    (row,) = sql("SELECT body, erased_at FROM webhook_deliveries WHERE id = :id", id=moved)
    assert row.body is None
    assert row.erased_at is not None
