"""``make many-rows``: what lists, claims, sweeps and pruning take with 100,000 webhooks, with ROWS, and in parts.

Prints a table, and asserts nothing of time: what must hold of plans is in test_plans.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from checkout_service.database.engine import execute
from checkout_service.delivery_states import DeliveryState
from checkout_service.oversight.statements import COUNT_DUPLICATE_WEBHOOKS, COUNT_PENDING, RECENT
from checkout_service.webhooks.queries import find_webhooks
from tests.conftest import Servers, Sql
from tests.many_rows.filling import fill
from tests.webhook_parts import turn_back
from worker.webhooks import pruning
from worker.webhooks.claims import claim, release
from worker.webhooks.marks import Kind
from worker.webhooks.sweeping import sweep

FEW = 100_000
ROWS = int(os.environ.get("ROWS") or 10_000_000)
STEPS = 100

Figures = dict[str, float]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_what_it_takes_with_many_rows(
    app: Flask,
    worker_app: Flask,
    sql: Sql,
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MIGRATION_DATABASE_URL", servers.superuser_url)
    found: dict[str, Figures] = {}
    for name, rows in {f"{FEW:,}": FEW, f"{ROWS:,}": ROWS}.items():
        sql("TRUNCATE webhook_deliveries, payments, users, audit, api_keys, prune_marks CASCADE")
        began = perf_counter()
        fill(sql, rows, FEW // 5)
        filled = perf_counter() - began
        found[name] = measured(worker_app, sql, servers, monkeypatch) | {"filled, s": filled}
    began = perf_counter()
    result = app.test_cli_runner().invoke(args=["webhooks", "partition"])
    turned = perf_counter() - began
    assert result.exit_code == 0, result.output
    found[f"{ROWS:,} in parts"] = measured(worker_app, sql, servers, monkeypatch) | {
        "flask webhooks partition, s": turned
    }
    sql("TRUNCATE webhook_deliveries, payments, users, audit, api_keys, prune_marks CASCADE")
    turn_back(servers.superuser_url)
    with capsys.disabled():
        print(f"\n| ms, median of {TIMES} | " + " | ".join(found) + " |\n|" + "---|" * (len(found) + 1))
        for figure in dict.fromkeys(figure for column in found.values() for figure in column):
            cells = (f"{column[figure]:.1f}" if figure in column else "" for column in found.values())
            print(f"| {figure} | " + " | ".join(cells) + " |")


TIMES = 7


def measured(worker_app: Flask, sql: Sql, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Figures:
    """What each takes, in milliseconds."""
    hours = timedelta(hours=2)
    count = {"limit": RECENT, "pending": timedelta(minutes=15), "remembered": timedelta(days=365)}
    sql("DELETE FROM prune_marks")
    with worker_app.app_context():
        figures = {
            "webhooks list": ms(find_webhooks),
            "webhooks list --state failed": ms(lambda: find_webhooks(state=DeliveryState.FAILED)),
            "webhooks list --state received": ms(lambda: find_webhooks(state=DeliveryState.RECEIVED)),
            "webhooks list --state applied --since 2h": ms(
                lambda: find_webhooks(state=DeliveryState.APPLIED, since=hours)
            ),
            "webhooks list --provider nobody --since 2h": ms(lambda: find_webhooks(provider="nobody", since=hours)),
            "claim of 500, and given back": ms(lambda: release(claim(None))),
            "sweep": ms(sweep),
            "invariant duplicate_has_its_event, a scrape": ms(lambda: execute(COUNT_DUPLICATE_WEBHOOKS, count)),
            "invariant webhooks_are_processed, a scrape": ms(lambda: execute(COUNT_PENDING, count)),
        }
        figures |= {f"a step of pruning, {name}": took for name, took in steps(monkeypatch).items()}
        with held(servers):
            figures |= {
                f"a step of pruning beside an old snapshot, {name}": took for name, took in steps(monkeypatch).items()
            }
    return figures


def ms(call: Callable[[], Any]) -> float:
    took = []
    for _ in range(TIMES):
        began = perf_counter()
        call()
        took.append((perf_counter() - began) * 1000)
    return median(took)


def steps(monkeypatch: pytest.MonkeyPatch) -> Figures:
    """Runs of one step of 1,000 rows each, of which every one begins where the one before ended."""
    took = []
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "_paced", lambda: iter([None]))
        for _ in range(STEPS):
            began = perf_counter()
            pruning._in_steps(Kind.WEBHOOKS, pruning._prune_webhooks, older_than=-timedelta(days=30))
            took.append((perf_counter() - began) * 1000)
    return {"of the first ten": median(took[:10]), f"of the last ten of {STEPS}": median(took[-10:])}


@contextmanager
def held(servers: Servers) -> Iterator[None]:
    url = make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT FROM users")
        yield
