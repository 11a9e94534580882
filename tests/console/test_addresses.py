"""What an address names that its list does not have is told; and flagged payments are narrowed like others."""

from __future__ import annotations

import re

import pytest

from checkout_service.console import payment_queries
from tests.conftest import Sql
from tests.console.conftest import Operator, file_webhooks, webhooks_on
from tests.console.test_lists import payments_on
from tests.money import fold
from tests.webhook_bodies import insert_payment


def test_an_empty_place_is_the_beginning(operator: Operator, sql: Sql) -> None:
    filed = file_webhooks(sql, 2)
    insert_payment(sql)

    assert webhooks_on(operator.get("/ops/webhooks?before=&after=")) == filed
    assert len(payments_on(operator.get("/ops/payments?before=&after=").text)) == 1
    assert operator.get("/ops/audit?before=&after=").status_code == 200


@pytest.mark.parametrize("query", ["before=nonsense", f"before={'a' * 400}", "after=x", "sinc=1h", "since=1h&until=2h"])
def test_an_address_that_is_none_of_the_list_lists_nothing(operator: Operator, sql: Sql, query: str) -> None:
    file_webhooks(sql, 2)
    insert_payment(sql)

    for page in ("webhooks", "payments", "orders"):
        answer = operator.get(f"/ops/{page}?{query}")
        assert answer.status_code == 400, page
        assert "A filter cannot be read" in answer.text
        assert 'class="fault"' in answer.text, "it says which"
        assert not re.search(f'<td><a href="/ops/{page}/', answer.text)
    if query.startswith(("before", "after")):
        assert operator.get(f"/ops/audit?{query}").status_code == 400
    if query.startswith("sin"):
        assert operator.get(f"/ops/webhooks/process-all?state=failed&{query}").status_code == 400
    assert operator.get("/ops/webhooks?provider=strpe").status_code == 400


def test_flagged_payments_are_found_by_customer_and_amount_however_many_there_are(
    operator: Operator, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_queries, "LOOKED_THROUGH", 3)
    for number in range(6):
        insert_payment(sql, amount=f"{number + 1}.00", provider_ref=f"pi_{number}")
    sql("UPDATE payments SET created_at = now() - CAST(amount AS integer) * interval '1 minute'")
    oldest = sql("SELECT id, user_id FROM payments ORDER BY created_at LIMIT 1")[0]
    for row in sql("SELECT id FROM payments"):
        sql("INSERT INTO payment_notices (payment_id, reason, ref) VALUES (:id, 'refund_mismatch', 'x')", id=row.id)
        fold(sql, row.id)

    newest_first = [row.id for row in sql("SELECT id FROM payments ORDER BY created_at DESC")]
    assert payments_on(operator.get("/ops/payments?flagged=yes").text) == newest_first
    for narrowed in (f"customer={oldest.user_id}", "amount=6.00", "amount=6.00+USD"):
        assert payments_on(operator.get(f"/ops/payments?flagged=yes&{narrowed}").text) == [oldest.id], narrowed
    cut = operator.get("/ops/payments?flagged=yes&reason=overpaid").text
    assert payments_on(cut) == []
    assert "that were looked through, back to" in cut
