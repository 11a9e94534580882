"""A webhook that cannot be processed, from its first attempt to the operator who has it processed after all."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.conftest import Servers, Sql
from tests.flower_pages import stack as station
from tests.flower_pages.conftest import mend
from tests.flower_pages.page import CommandGroup
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, post_webhook, state_of, status_of, webhook

ATTEMPTS = 3


@pytest.mark.slow
def test_poison_is_retried_ever_later_fails_alone_and_is_retried_in_flower(
    client: FlaskClient, sql: Sql, servers: Servers, tmp_path: Path, poison: str
) -> None:
    settings = station.environment(servers, WEBHOOK_MAX_ATTEMPTS=str(ATTEMPTS))
    victim, *neighbours = [insert_payment(sql) for _ in range(21)]
    with station.run(tmp_path, settings, "worker", "flower", "beat"), closing(CommandGroup(settings)) as ui:
        bad = post_webhook(client, webhook(victim, event_id=poison))
        for reference in neighbours:
            post_webhook(client, webhook(reference))
        eventually(lambda: all(status_of(sql, reference) == "paid" for reference in neighbours), within=5)

        waits: dict[int, float] = {}
        deadline = time.monotonic() + 40
        while state_of(sql, bad) == "received" and time.monotonic() < deadline:
            (row,) = sql(
                """SELECT attempts, detail, extract(epoch FROM next_attempt_at - updated_at)::float AS wait
                FROM webhook_deliveries WHERE id = :id AND state = 'received'""",
                id=bad,
            ) or [None]
            if row is not None and row.attempts and row.wait < 29:  # not the lease of an attempt under way
                assert row.detail == "RaiseException: nobody thought of this"
                waits[row.attempts] = row.wait
            time.sleep(0.1)

        assert state_of(sql, bad) == "failed"
        assert sorted(waits) == [1, 2]
        assert 5 <= waits[1] <= 6.1
        assert 10 <= waits[2] <= 12.1
        failed = ui.await_task(str(bad))
        assert list(ui.tasks()) == [failed], "only what failed for good is told"
        assert "nobody thought of this" in ui.tasks()[failed]["exception"]
        time.sleep(3)
        ((attempts,),) = sql("SELECT attempts FROM webhook_deliveries WHERE id = :id", id=bad)
        assert (attempts, state_of(sql, bad)) == (ATTEMPTS, "failed"), "the sweep leaves it to an operator"
        assert status_of(sql, victim) == "pending"

        mend(sql)
        answer = ui.retry(failed)
        assert answer.status_code == 200, answer.text
        eventually(lambda: status_of(sql, victim) == "paid", within=5)
        assert state_of(sql, bad) == "applied"
        again = answer.json()["task-id"]
        eventually(lambda: ui.tasks().get(again, {}).get("state") == "SUCCESS", within=5)
        assert ui.tasks()[again]["args"] == f"('{bad}',)"
