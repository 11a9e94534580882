"""A secret is wrong for an hour, strangers flood before it and after it, and what was acknowledged is applied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.commands import operations
from checkout_service.commands.models import Door, RunState
from checkout_service.commands.operations import Origin
from checkout_service.delivery_states import DeliveryState
from checkout_service.payments.status import PaymentStatus
from checkout_service.webhooks.selection import Choice
from tests.conftest import Sql
from tests.providers.kits import stripe
from tests.providers.kits.collection import KITS
from tests.providers.kits.kit import NOW, Kit, SignedWebhook
from tests.worker.conftest import MakeWorker
from worker.webhooks.task import process

KEPT = 25
"""Of what names nothing, at each provider."""

SIGNING = [name for name, kit in KITS.items() if kit.signed and kit.statuses]
"""Those whose webhooks prove something: of a thin event its provider would have to be asked."""

PAYMENTS = """
    INSERT INTO payments (id, user_id, provider, provider_ref, amount, currency)
    SELECT given.id, :user, :provider, given.reference, 240, 'USD'
    FROM unnest(CAST(:ids AS uuid[]), CAST(:references AS text[])) AS given (id, reference)
"""

WEBHOOKS = """
    INSERT INTO webhook_deliveries (provider, headers, body, received_at)
    SELECT :provider, CAST(given.headers AS jsonb), given.body, :received_at
    FROM unnest(CAST(:headers AS text[]), CAST(:bodies AS bytea[])) AS given (headers, body)
    RETURNING id
"""


def insert_payments(sql: Sql, provider: str, many: int) -> list[str]:
    """Open payments; their references, which hold our ids where the provider lets us choose them."""
    ids = [uuid4() for _ in range(many)]
    names = {"stripe": "pi_{}", "standard": "inhouse-{}", "mock": "mock_pi_{}"}
    references = [names.get(provider, provider + "_{}").format(each.hex) for each in ids]
    user = sql("INSERT INTO users DEFAULT VALUES RETURNING id")[0].id
    sql(PAYMENTS, user=user, provider=provider, ids=ids, references=references)
    return references


def webhook_of(kit: Kit, reference: str, number: int) -> SignedWebhook:
    """That the payment is paid, as its provider sends it: each with a charge of its own."""
    made = kit.webhook(PaymentStatus.PAID, provider_ref=reference, event=number)
    if kit.name != "stripe":
        return made
    return stripe.sign(made.body.replace(stripe.CHARGE.encode(), f"ch_{reference}".encode()), kit.secrets[0])


def file(sql: Sql, provider: str, webhooks: list[SignedWebhook], *, minute: int) -> list[UUID]:
    rows = sql(
        WEBHOOKS,
        provider=provider,
        headers=[json.dumps(webhook.headers) for webhook in webhooks],
        bodies=[webhook.body for webhook in webhooks],
        received_at=NOW + timedelta(seconds=minute),
    )
    return [row.id for row in rows]


def flood(sql: Sql, kit: Kit, many: int, *, minute: int) -> list[UUID]:
    """Webhooks in the provider's shape that strangers made up, each another."""
    made_up = [
        kit.webhook(PaymentStatus.PAID, secret=kit.secrets[2], provider_ref=f"none_{n:032}") for n in range(many)
    ]
    return file(sql, kit.name, made_up, minute=minute)


def replay_all(sql: Sql, web: Flask, provider: str) -> None:
    """As ``webhooks process --state rejected --provider NAME`` does; beat would send it to the workers again."""
    choice = Choice(state=DeliveryState.REJECTED, provider=provider)
    origin = Origin(key=uuid4(), door=Door.CLI, operator="mira", why="the secret is right again")
    with web.app_context():
        command = operations.process_all(choice.to_details(), counted=1, origin=origin)
    for _ in range(60):
        process(str(command))
        if sql("SELECT state FROM command_runs WHERE id = :id", id=command)[0].state == RunState.DONE:
            return
    raise AssertionError("the replay does not end")


def count(sql: Sql, provider: str) -> dict[str, int]:
    rows = sql(
        "SELECT state, count(*) FROM webhook_deliveries WHERE provider = :provider GROUP BY 1", provider=provider
    )
    return {row.state: row.count for row in rows}


@pytest.fixture
def kept_few(make_worker: MakeWorker) -> Iterator[Flask]:
    app = make_worker(rejected_max_rows=KEPT, rejected_known_max_rows=KEPT)
    with app.app_context():
        yield app


def wrong_for_an_hour(sql: Sql, web: Flask, worker: Flask, kit: Kit, *, waves: int, many: int) -> None:
    """Flood, real webhooks under a wrong secret, flood again; then the secret is right, and all are replayed."""
    worker.extensions["providers"] = {kit.name: kit.provider(kit.secrets[1])}
    references = insert_payments(sql, kit.name, many)
    process(str(flood(sql, kit, waves * KEPT, minute=0)[0]))
    assert count(sql, kit.name) == {"rejected": KEPT}
    webhooks = [webhook_of(kit, reference, number) for number, reference in enumerate(references)]
    process(str(file(sql, kit.name, webhooks, minute=1)[0]))
    process(str(flood(sql, kit, waves * KEPT, minute=2)[0]))
    assert count(sql, kit.name) == {"rejected": KEPT + many}

    worker.extensions["providers"] = {kit.name: kit.provider(kit.secrets[0])}
    replay_all(sql, web, kit.name)

    assert count(sql, kit.name) == {"applied": many, "rejected": KEPT}
    assert [row.status for row in sql("SELECT DISTINCT status::text FROM payments")] == ["paid"]


@pytest.mark.parametrize("name", SIGNING)
def test_all_webhooks_of_the_hour_are_applied_once_the_secret_is_right(
    sql: Sql, app: Flask, kept_few: Flask, name: str
) -> None:
    wrong_for_an_hour(sql, app, kept_few, KITS[name], waves=2, many=60)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNING)
def test_a_thousand_webhooks_are_applied_once_the_secret_is_right(
    sql: Sql, app: Flask, kept_few: Flask, name: str
) -> None:
    wrong_for_an_hour(sql, app, kept_few, KITS[name], waves=40, many=1000)
