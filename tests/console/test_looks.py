"""Every page of the console in every state, as a browser shows it: nothing that axe-core minds, nothing too wide.

Pictures of them are taken into docs/screenshots when TAKE_SCREENSHOTS is set.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

from tests.capturing import authorized_payment, insert_capture_request
from tests.conftest import Sql
from tests.console.conftest import PASSWORD, USER
from tests.money import bring_to, dispute
from tests.pages.browser import DESKTOP, PHONE, open_browser, overflows, picture, violations
from tests.refunding import insert_refund, paid_payment
from tests.webhook_bodies import insert_payment, insert_webhook, webhook

MEMBER = re.compile(r"\b[A-Z][A-Za-z]+\.[A-Z][A-Z_]+\b")
"""What a member of an enumeration of ours would be shown as by mistake."""

HOSTILE = '{"type": "<script>document.title=\'gone\'</script>", "id": "\u202egpj.exe", "a": ["</pre><b>bold</b>"]}'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(console_app: Flask) -> Iterator[str]:
    """The console, served."""
    server = make_server("127.0.0.1", 0, console_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    # Past the policy, since axe-core is put into the page; that it holds is tested by what a page may not do.
    context = browser.new_context(
        http_credentials={"username": USER, "password": PASSWORD}, viewport=DESKTOP, bypass_csp=True
    )
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda words: complaints.append(words.text) if words.type == "error" else None)
    yield page
    page.close()
    assert not [words for words in complaints if not any(status in words for status in ("400", "404", "503"))]


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there to be looked at."""

    failed: UUID
    hostile: UUID
    pending: UUID
    flagged: UUID
    disputed: UUID
    authorized: UUID
    capture: UUID
    doubted: UUID
    refund: UUID
    settled: UUID
    running: UUID
    stopped: UUID


@pytest.fixture
def world(sql: Sql) -> World:
    """An hour of a shop that is doing well, but for a few things."""
    sql("INSERT INTO users SELECT FROM generate_series(1, 1)")
    sql("""INSERT INTO payments (user_id, provider, provider_ref, amount, currency, status, created_at)
        SELECT users.id, 'mock', 'mock_pi_' || md5(number::text), 20 + number % 90, 'USD',
            (ARRAY['paid','paid','paid','paid','paid','failed','pending','processing','expired','canceled','reversed']
            )[1 + number % 11]::payment_status, now() - number * interval '40 seconds'
        FROM users, generate_series(1, 400) AS number""")
    # Ever so many webhooks, with a slow quarter of an hour in the middle and unverified webhooks near the end.
    sql("""INSERT INTO webhook_deliveries
            (id, provider, body, received_at, state, attempts, provider_ref, processed_at, detail, next_attempt_at)
        SELECT uuidv7(-age), 'mock', convert_to('{"provider_ref": "mock_pi_' || md5((1 + number % 400)::text)
                || '", "status": "paid", "raw_data": {"event_id": "evt_' || number || '"}}', 'UTF8'),
            now() - age,
            CASE WHEN number % 40 = 0 THEN 'duplicate' WHEN number % 97 = 0 THEN 'ignored'
                WHEN number < 260 AND number % 9 = 0 THEN 'rejected' ELSE 'applied' END,
            1, 'mock_pi_' || md5((1 + number % 400)::text),
            now() - age + lag, CASE WHEN number < 260 AND number % 9 = 0 THEN 'the signature does not match' END, NULL
        FROM (
            SELECT number, number * interval '1.35 seconds' + random() * interval '1 second' AS age,
                interval '6 milliseconds' * (1 + random() * 3) * CASE
                    WHEN number BETWEEN 900 AND 1500 THEN 1 + 900 * random() ^ 4
                    WHEN random() < 0.03 THEN 20 ELSE 1 END AS lag
            FROM generate_series(1, 2600) AS number
        ) AS ages""")
    reference = insert_payment(sql, status="pending")
    failed = insert_webhook(
        sql,
        webhook(reference, event_id="evt_4711", amount="240.00", currency="USD"),
        state="'failed'",
        attempts="12",
        provider_ref=f"'{reference}'",
        detail="'InternalError: new row violates a rule that nobody thought of'",
        processed_at="now() - interval '4 minutes'",
        id="uuidv7(interval '-100 minutes')",
        received_at="now() - interval '100 minutes'",
        headers="""'{"x-request-id": "6d0f9a", "stripe-signature": "t=1,v1=5257a869"}'""",
    )
    insert_webhook(
        sql,
        webhook(insert_payment(sql), event_id="evt_4712"),
        attempts="3",
        detail="'ConnectError: the provider does not answer'",
        received_at="now() - interval '45 seconds'",
        next_attempt_at="now() + interval '35 seconds'",
    )
    insert_webhook(sql, webhook("mock_pi_of_nobody"), state="'parked'", detail="'its payment is not here yet'")
    hostile = insert_webhook(
        sql, HOSTILE.encode(), state="'rejected'", detail="'<b>not JSON</b>'", processed_at="now()"
    )
    sql("""UPDATE payments SET review_reason = 'paid_after_close'
        WHERE id IN (SELECT id FROM payments WHERE status = 'paid' LIMIT 2)""")
    question = '{"at": "2026-11-25T10:00:00Z", "question": "look-up", "answer": "nothing new"}'
    sql("UPDATE payments SET look_up_log = CAST(:log AS jsonb) WHERE status = 'pending'", log=f"[{question}]")
    (flagged,) = sql("SELECT id FROM payments WHERE provider_ref = :it", it=reference)
    bring_to(sql, flagged.id, "partially_paid", amount="24.00")
    sql(
        """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome, amount, currency, delivery_id)
        VALUES (:id, 'mock', 'evt_4711', 'paid', 'applied', 24.00, 'USD', :webhook)""",
        id=flagged.id,
        webhook=failed,
    )
    (pending,) = sql("SELECT id FROM payments WHERE status = 'processing' LIMIT 1")
    (disputed,) = sql("SELECT id FROM payments WHERE provider_ref = :it", it=insert_payment(sql))
    bring_to(sql, disputed.id, "paid")
    dispute(sql, disputed.id, "12.00", evidence_due_at="now() + interval '3 days'", reason="'not_received'")
    authorized, _ = authorized_payment(sql, refs=("at_1",))
    capture = insert_capture_request(
        sql, authorized, "2.00", status="'processing'", sent_at="now() - interval '73 hours'", in_doubt="true"
    )
    doubted, _ = paid_payment(sql)
    refund = insert_refund(sql, doubted, in_doubt="true", sent_at="now() - interval '21 hours'", detail="'in doubt'")
    settled = insert_refund(sql, doubted, "1.00", status="'failed'", decline="'other'", next_attempt_at="NULL")
    details_of_all = '{"choice": {"state": "rejected"}, "counted": 29}'
    commands = {
        "process": (str(failed), "the trigger is gone", "{}"),
        "look_up": (str(flagged.id), "", "{}"),
        "review": (str(flagged.id), "agreed with the customer, refunded 216.00", '{"reason": "paid_twice"}'),
        "accept": (str(flagged.id), "agreed by telephone", '{"amount": "24.00"}'),
        "process_all": ("", "the secret was wrong since noon", details_of_all),
    }
    ids = {}
    for action, (subject, why, details) in [*commands.items(), ("process_all", ("", "mended", details_of_all))]:
        ids[action, why] = sql(
            """INSERT INTO audit (key, door, operator, action, subject, why, details)
            VALUES (uuidv7(), 'console', 'mira', :action, :subject, :why, CAST(:details AS jsonb)) RETURNING id""",
            action=action,
            subject=subject,
            why=why,
            details=details,
        )[0].id
    messages = {"look_up": "nothing new", "review": "paid_twice was seen", "accept": "24.00 was accepted"}
    for (action, _), command in ids.items():
        if action in messages:
            sql(
                "INSERT INTO command_runs (id, state, message) VALUES (:id, 'done', :message)",
                id=command,
                message=messages[action],
            )
    running = ids["process_all", "the secret was wrong since noon"]
    stopped = ids["process_all", "mended"]
    for command, state in ((running, "running"), (stopped, "stopped")):
        sql(
            """INSERT INTO command_runs (id, state, replayed, leased_until)
            VALUES (:id, :state, 12, now() + interval '1 minute')""",
            id=command,
            state=state,
        )
        sql(
            """INSERT INTO command_results (command_id, state, count)
            VALUES (:id, 'applied', 9), (:id, 'duplicate', 1), (:id, 'rejected', 2)""",
            id=command,
        )
    return World(
        failed=failed,
        hostile=hostile,
        pending=pending.id,
        flagged=flagged.id,
        disputed=disputed.id,
        authorized=authorized,
        capture=capture,
        doubted=doubted,
        refund=refund,
        settled=settled,
        running=running,
        stopped=stopped,
    )


def pages(world: World) -> dict[str, str]:
    return {
        "overview": "/ops",
        "webhooks": "/ops/webhooks",
        "webhooks-failed": "/ops/webhooks?state=failed",
        "webhooks-faults": "/ops/webhooks?since=nonsense&state=lost",
        "webhooks-none": "/ops/webhooks?provider=mollie",
        "webhooks-found": f"/ops/webhooks?find={world.flagged}",
        "webhook": f"/ops/webhooks/{world.failed}",
        "webhook-hostile": f"/ops/webhooks/{world.hostile}",
        "webhook-gone": f"/ops/webhooks/{world.flagged}",
        "payments": "/ops/payments",
        "payments-flagged": "/ops/payments?flagged=yes",
        "payments-faults": "/ops/payments?find=nonsense&amount=many",
        "payments-none": "/ops/payments?amount=1.23",
        "todo": "/ops/todo",
        "search": "/ops/search?q=20.00",
        "search-none": "/ops/search?q=nothing",
        "search-faults": "/ops/search?q=2026-11-31",
        "payment-capture": f"/ops/payments/{world.authorized}/capture",
        "payment-void": f"/ops/payments/{world.authorized}/void",
        "payment-refund": f"/ops/payments/{world.doubted}/refund",
        "payment-refund-not": f"/ops/payments/{world.pending}/refund",
        "webhooks-unknown-faults": "/ops/webhooks?sinc=1h",
        "payment-cancel": f"/ops/payments/{world.pending}/cancel",
        "payment-cancel-not": f"/ops/payments/{world.disputed}/cancel",
        "payment-doubt": f"/ops/payments/{world.doubted}",
        "refund-settle": f"/ops/payments/{world.doubted}/refunds/{world.refund}/settle",
        "refund-settle-not": f"/ops/payments/{world.doubted}/refunds/{world.settled}/settle",
        "capture-settle": f"/ops/payments/{world.authorized}/captures/{world.capture}/settle",
        "payment": f"/ops/payments/{world.flagged}",
        "payment-open": f"/ops/payments/{world.pending}",
        "payment-disputed": f"/ops/payments/{world.disputed}",
        "disputes": "/ops/disputes",
        "disputes-lost": "/ops/disputes?status=lost",
        "disputes-faults": "/ops/disputes?status=gone",
        "confirm": "/ops/webhooks/process-all?state=rejected&since=2h",
        "confirm-not": "/ops/webhooks/process-all?state=applied",
        "confirm-none": "/ops/webhooks/process-all?state=failed&provider=mollie",
        "command": f"/ops/commands/{world.running}",
        "command-stopped": f"/ops/commands/{world.stopped}",
        "audit": "/ops/audit",
    }


SHOWN = ("overview", "webhooks", "webhook", "payment", "command", "todo", "search")
"""Those that the documentation shows."""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible_and_fits(
    page: Page, address: str, world: World, size: dict[str, int], tmp_path: Path
) -> None:
    look_at(page, address, pages(world), size=size, folder=tmp_path, shown=SHOWN)


def look_at(
    page: Page, address: str, paths: dict[str, str], *, size: dict[str, int], folder: Path, shown: tuple[str, ...]
) -> None:
    """Each page is answered, accessible and no wider than the screen; pictures of it are taken."""
    page.set_viewport_size(size)
    faults = {}
    for name, path in paths.items():
        answer = page.goto(address + path)
        assert answer is not None
        assert answer.status == (404 if name.endswith("-gone") else 400 if name.endswith("-faults") else 200), name
        found = violations(page)
        if member := MEMBER.search(page.inner_text("body")):
            found.append(f"{member[0]} is no word for people")
        if found or overflows(page):
            faults[name] = [*found, *(["wider than the screen"] if overflows(page) else [])]
        if name in shown:
            picture(page, f"console-{name}" + ("-phone" if size is PHONE else ""), folder)
        elif "LOOK" in os.environ:
            picture(page, f"{name}" + ("-phone" if size is PHONE else ""), folder, whole=True)
    assert not faults


def test_an_empty_console_is_accessible(page: Page, address: str, servers: object) -> None:
    for path in ("/ops", "/ops/webhooks", "/ops/payments", "/ops/orders", "/ops/endpoints", "/ops/audit"):
        page.goto(address + path)
        assert not violations(page), path
        assert not overflows(page), path
