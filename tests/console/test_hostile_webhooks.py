"""What strangers send is shown and never obeyed: by the page's own text, and by a browser that would run it."""

from __future__ import annotations

import re
import threading
from html.parser import HTMLParser
from time import perf_counter

import pytest
from flask import Flask
from werkzeug.serving import make_server

from checkout_service.console.untrusted import LONGEST_WORD, SHOWN, show_body, show_headers, what_it_says
from tests.conftest import Sql
from tests.console.conftest import PASSWORD, USER, Operator
from tests.pages.browser import open_browser
from tests.webhook_bodies import insert_webhook

SCRIPT = "<script>document.title='gone'</script>"
BODIES = {
    "a script": SCRIPT.encode(),
    "a script in JSON": f'{{"type": "{SCRIPT}", "id": "{SCRIPT}"}}'.encode(),
    "the end of a text": b'{"a": "</pre></details></main><img src=x onerror=document.title=1>"}',
    "an attribute": b'{"type": "\\" onmouseover=document.title=1 x=\\"", "id": "\' onfocus=1 \'"}',
    "a template": b'{"type": "{{ 7 * 191 }}{% raw %}", "id": "${7 * 191}"}',
    "directions": '{"type": "\u202eevil\u2066\u200f", "id": "\u061c\ufeff\u200b"}'.encode(),
    "controls": b'{"type": "a\\u0000\\u001b[31m\\r\\n", "id": "\\u0085\\u2028"}',
    "bytes": bytes(range(256)),
    "half of UTF-8": b'{"type": "\xc3\x28", "id": "\xed\xa0\x80"}',
    "half a character": b'{"type": "\\ud800", "id": "\\udfff\\ud800"}',
    "depth": b"[" * 100_000,
    "depth in balance": b"[" * 60_000 + b"]" * 60_000,
    "a large text": b'{"type": "' + b"x" * 250 * 1024 + b'"}',
    "large and unseen": ('{"id": "' + "\u202e" * 80_000 + '"}').encode(),
    "large numbers": b'{"type": 1e400, "id": ' + b"9" * 5000 + b"}",
    "twice": b'{"type": "one", "type": "another"}',
    "a form": b"type=%3Cscript%3E&id=%E2%80%AE&id=2&a=",
    "nothing": b"",
    "a word": b"null",
    "a list": b'[{"type": "a"}, 1, null]',
    "no words": b'{"type": {"a": 1}, "id": [1], "event": true, "status": null, "event_id": 7}',
}


class Elements(HTMLParser):
    """The names of a page's elements and attributes, as a browser's own reader finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.scripts: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append(dict(attrs).get("src"))


@pytest.mark.parametrize("name", BODIES)
def test_no_body_becomes_part_of_a_page(operator: Operator, sql: Sql, name: str) -> None:
    body = BODIES[name]
    plain = operator.get(f"/ops/webhooks/{insert_webhook(sql, b'{}')}")
    webhook = insert_webhook(sql, body, detail="'<b>detail</b>'", state="'failed'", processed_at="now()")
    started = perf_counter()
    page = operator.get(f"/ops/webhooks/{webhook}")
    took = perf_counter() - started

    assert page.status_code == 200
    assert took < 5, "bounded, on however busy a machine"
    found, usual = Elements(page.text), Elements(plain.text)
    assert found.tags <= usual.tags | {"details", "summary", "form", "input", "textarea", "button", "label"}
    assert found.scripts == usual.scripts
    assert not [attribute for attribute in found.attributes if attribute.startswith("on")]
    assert len(page.data) < 6 * SHOWN + 40_000
    assert not re.search(
        "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page.text
    )
    assert "&lt;b&gt;detail&lt;/b&gt;" in page.text
    assert operator.get("/ops/webhooks").status_code == 200
    assert operator.get(f"/ops/webhooks/{webhook}/body").data == body


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b'{"type": "payment_intent.succeeded", "id": "evt_1"}', {}, ("payment_intent.succeeded", "evt_1")),
        (b'{"event_type": "PAYMENT.CAPTURE.COMPLETED", "id": "WH-1"}', {}, ("PAYMENT.CAPTURE.COMPLETED", "WH-1")),
        (b'{"type": "order.paid"}', {"webhook-id": "msg_1"}, ("order.paid", "msg_1")),
        (
            b'{"notificationItems": [{"NotificationRequestItem": {"eventCode": "CAPTURE", "pspReference": "QF"}}]}',
            {},
            ("CAPTURE", "QF"),
        ),
        (b'{"status": "paid", "raw_data": {"event_id": "evt_2"}}', {}, ("paid", "evt_2")),
        (b"id=tr_7UhSN1zuXS", {}, (None, "tr_7UhSN1zuXS")),
        (BODIES["no words"], {}, (None, None)),
        (BODIES["depth"], {}, (None, None)),
        (BODIES["bytes"], {"webhook-id": 7}, (None, None)),
        (None, {}, (None, None)),
        (BODIES["directions"], {}, ("\\u202eevil\\u2066\\u200f", "\\u061c\\ufeff\\u200b")),
    ],
)
def test_a_webhooks_type_and_event_are_what_it_says(
    body: bytes | None, headers: dict[str, object], words: tuple[str | None, str | None]
) -> None:
    found = what_it_says(body, headers)
    assert (found.type, found.event_id) == words


def test_a_long_type_is_cut() -> None:
    found = what_it_says(b'{"type": "' + b"x" * 5000 + b'"}', {})
    assert found.type == "x" * LONGEST_WORD + "…"


def test_json_is_put_in_order_without_a_change() -> None:
    shown = show_body(b'{"b":1.10,"a":[1e400,{"c":"\\u00e9 \xc3\xa9"},[],{}],"b":12345678901234567890123}')
    assert shown.kind == "json"
    assert shown.pretty == (
        '{\n  "b": 1.10,\n  "a": [\n    1e400,\n    {\n      "c": "\\u00e9 é"\n    },\n    [],\n    {}\n  ],\n'
        '  "b": 12345678901234567890123\n}'
    )
    assert not shown.cut


def test_kinds_of_bodies_are_distinguished() -> None:
    kinds = {
        "a form": "form",
        "bytes": "bytes",
        "a script": "text",
        "depth": "text",
        "a list": "json",
        "nothing": "text",
    }
    for name, kind in kinds.items():
        assert show_body(BODIES[name]).kind == kind, name
    assert show_body(b"type=%3Cscript%3E&id=%E2%80%AE&id=2").pretty == "type = <script>\nid = \\u202e\nid = 2"
    assert show_body(b"\xff\x00A").pretty == "00000000  ff 00 41" + " " * 41 + "..A"


@pytest.mark.parametrize("name", ["a large text", "depth in balance", "large and unseen"])
def test_large_bodies_are_cut_and_stated_to_be(operator: Operator, sql: Sql, name: str) -> None:
    shown = show_body(BODIES[name])
    assert shown.cut
    assert len(shown.pretty) <= SHOWN
    assert len(shown.raw) <= SHOWN
    page = operator.get(f"/ops/webhooks/{insert_webhook(sql, BODIES[name])}")
    assert "Only the beginning is shown" in page.text


def test_headers_that_could_sign_are_struck_out(operator: Operator, sql: Sql) -> None:
    kept = {
        "stripe-signature": "t=1,v1=5257a869",
        "Authorization": "Basic c2VjcmV0",
        "x-hmac": "abc",
        "x-request-id": "6d0f9a",
        "<b>": "\u202e",
    }
    shown = dict(show_headers(kept))
    assert shown["x-request-id"] == "6d0f9a"
    for name in ("stripe-signature", "Authorization", "x-hmac"):
        assert shown[name] == f"(not shown: {len(kept[name])} characters)"

    headers = '\'{"stripe-signature": "t=1,v1=5257a869", "x-request-id": "6d0f9a"}\''
    page = operator.get(f"/ops/webhooks/{insert_webhook(sql, b'{}', headers=headers)}")
    assert "5257a869" not in page.text
    assert "6d0f9a" in page.text


def test_a_browser_runs_nothing_that_a_webhook_brings(console_app: Flask, sql: Sql) -> None:
    webhooks = [insert_webhook(sql, body) for name, body in BODIES.items() if "depth" not in name]
    server = make_server("127.0.0.1", 0, console_app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open_browser() as browser:
        context = browser.new_context(http_credentials={"username": USER, "password": PASSWORD})
        page = context.new_page()
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for path in ["webhooks", *(f"webhooks/{webhook}" for webhook in webhooks)]:
            page.goto(f"http://127.0.0.1:{server.server_port}/ops/{path}")
            assert page.title().endswith("· Console")
        assert not dialogs
        # And if something did slip through, the policy would not let it run.
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')")
        page.wait_for_timeout(100)
        assert page.title().endswith("· Console")
        context.close()
    server.shutdown()
