"""``checkout payments refunds``: those that failed, and those that are outstanding, with why."""

from __future__ import annotations

from flask import Flask

from tests.conftest import Sql
from tests.refunding import insert_refund, paid_payment


def _listed(app: Flask, *arguments: str) -> list[str]:
    done = app.test_cli_runner().invoke(args=["payments", "refunds", *arguments])
    assert done.exit_code == 0, done.output
    return list(done.stdout.splitlines())


def test_refunds_are_listed_by_status_with_why(app: Flask, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    failed = insert_refund(
        sql, payment, "1.00", status="'failed'", decline="'insufficient_funds'", detail="'status 402'"
    )
    insert_refund(sql, payment, "1.00", status="'failed'", updated_at="now() - interval '31 days'")
    doubted = insert_refund(sql, payment, "2.00", detail="E'in doubt\\x1b[2J'")
    under_way = insert_refund(sql, payment, "3.00", status="'processing'")
    insert_refund(sql, payment, "4.00", status="'succeeded'")

    (line,) = _listed(app)
    assert line.startswith(str(failed))
    assert "1.00 USD" in line
    assert line.endswith(f"payment {payment}  insufficient_funds: status 402")
    (line,) = _listed(app, "--status", "requested")
    assert line.startswith(str(doubted))
    assert "in doubt" in line
    assert "\x1b" not in line
    assert [line.split()[0] for line in _listed(app, "--status", "processing")] == [str(under_way)]
    assert len(_listed(app, "--within", "32d")) == 2
    assert len(_listed(app, "--within", "32d", "--limit", "1")) == 1
