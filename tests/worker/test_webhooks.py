"""What becomes of letters."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import Sql
from tests.letters import insert_letter, insert_payment, letter, post_letter, state_of, status_of
from worker.webhooks import process

pytestmark = pytest.mark.usefixtures("worker")


def test_webhook_updates_payment(client: FlaskClient, sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = post_letter(client, letter(reference, amount="240.00", currency="USD"))

    process(str(delivery))

    assert status_of(sql, reference) == "paid"
    assert state_of(sql, delivery) == "applied"
