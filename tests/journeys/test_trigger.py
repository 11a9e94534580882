"""``checkout events trigger`` makes each type of event and ``events listen`` posts them, in a service that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask
from standardwebhooks.webhooks import Webhook

from checkout_service.app import create_app
from checkout_service.endpoints import listen_cli
from checkout_service.events.types import EVENT_TYPES
from checkout_service.local import trigger_cli
from checkout_service.local.data_folder import ROOT
from checkout_service.local.recipes import REASONS, RECIPES
from checkout_service.local.triggering import Scene, Way
from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.journeys.conftest import Town, eventually

Request = tuple[dict[str, str], bytes]

FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")

LISTED = ("order.short", "stock.low", "stock.sold_out")
"""They take all pieces of a listing, one after the other."""


class Shop(ThreadingHTTPServer):
    """A program that is being built: it takes what is posted, and keeps it by its path."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: dict[str, list[Request]] = {"/listen": [], "/endpoint": []}
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ids(self, path: str) -> list[str]:
        return [headers["webhook-id"] for headers, _ in list(self.received[path])]


class _Handler(BaseHTTPRequestHandler):
    server: Shop

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received[self.path].append((headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def commands(town: Town) -> Iterator[Flask]:
    """The command line's app, in this process, with the running service's settings."""
    with pytest.MonkeyPatch.context() as patched:
        for name in list(os.environ):
            patched.delenv(name)
        for name, value in town.environment.items():
            patched.setenv(name, value)
        app = create_app(WebSettings.from_environment(account_forms()))
        listen_cli.init_app(app)
        trigger_cli.init_app(app)
        yield app
        close_app(app)


def test_each_type_is_made_once_or_the_reason_is_shown() -> None:
    assert {*RECIPES} | {*REASONS} == {*EVENT_TYPES}
    assert not {*RECIPES} & {*REASONS}


def test_every_type_happens_and_is_posted_by_who_listens_just_as_by_the_sender(
    town: Town, commands: Flask, shop: Shop, tmp_path: Path
) -> None:
    made = commands.test_cli_runner().invoke(args=["webhook-endpoints", "create", "--url", shop.url("/endpoint")])
    assert made.exit_code == 0, made.output
    # Into files: nobody reads while it writes, and a pipe takes no more than 64 KiB.
    printed, remarks = tmp_path / "printed", tmp_path / "remarks"
    with printed.open("w") as output, remarks.open("w") as errors:
        listener = subprocess.Popen(
            [*FLASK, "events", "listen", "--json", "--forward-to", shop.url("/listen")],
            cwd=ROOT,
            env=town.environment,
            stdout=output,
            stderr=errors,
        )
    try:
        eventually(lambda: "Ctrl-C" in remarks.read_text(), within=120)
        happened = trigger_all(commands)
        eventually(lambda: {*happened.values()} <= {*shop.ids("/listen")} & {*shop.ids("/endpoint")}, within=60)
    finally:
        listener.send_signal(signal.SIGINT)
        assert listener.wait(60) == 0, remarks.read_text()
    assert "Traceback" not in remarks.read_text()

    secret = remarks.read_text().partition("\n")[0].rpartition(" ")[2]
    events = [json.loads(line) for line in printed.read_text().splitlines()]
    assert [event["id"] for event in events] == shop.ids("/listen")
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    assert {event["type"]: event["id"] for event in events if event["id"] in happened.values()} == happened
    by_sender = {headers["webhook-id"]: (headers, body) for headers, body in shop.received["/endpoint"]}
    for headers, body in shop.received["/listen"]:
        Webhook(secret).verify(body, headers)
        Webhook(made.output.split()[-1]).verify(*reversed(by_sender[headers["webhook-id"]]))
        theirs = by_sender[headers["webhook-id"]]
        assert body == theirs[1]
        assert headers.keys() - {"connection"} == theirs[0].keys() - {"connection"}


def trigger_all(commands: Flask) -> dict[str, str]:
    """Make an event of each type there is a recipe for, once; their ids."""

    def one(event_type: str) -> tuple[str, str]:
        recipe = RECIPES[event_type]
        with commands.app_context():
            settings = commands.extensions["settings"]
            deployment = trigger_cli.deployment_of(settings, f"http://127.0.0.1:{os.environ['PORT']}")
            with Scene(deployment, Way(), lambda *_: None) as scene:
                recipe.steps(scene)
                rows = scene.wait_for(event_type, within=recipe.within)
                assert len(rows) == 1, event_type
                # A listing's lane is older than this, a payment's is not.
                assert event_type.startswith("stock.") or scene.count(event_type) == 1, event_type
                if recipe.afterwards is not None:
                    recipe.afterwards(scene)
                return event_type, str(rows[0].id)

    with ThreadPoolExecutor(4) as threads:
        listed = threads.submit(lambda: [one(event_type) for event_type in LISTED])
        others = list(threads.map(one, [event_type for event_type in RECIPES if event_type not in LISTED]))
        return dict([*others, *listed.result()])


@pytest.mark.parametrize(
    ("event_type", "ways"), [("payment.paid", ["--twice", "--late", "--reordered"]), ("dispute.lost", ["--reordered"])]
)
def test_however_the_webhooks_come_the_event_comes_once(commands: Flask, event_type: str, ways: list[str]) -> None:
    result = commands.test_cli_runner().invoke(args=["events", "trigger", event_type, *ways])

    assert result.exit_code == 0, result.output
    *_, event, summary = result.output.splitlines()
    assert event_type in event
    assert summary == "It came once."


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["webhook_endpoint.lost"], "cannot be made in a moment"),
        (["payment.failed", "--late"], "no money comes before"),
        (["checkout.session.opened", "--twice"], "no provider reports anything"),
        (["payment.processing", "--reordered"], "the first thing"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(commands: Flask, arguments: list[str], reason: str) -> None:
    result = commands.test_cli_runner().invoke(args=["events", "trigger", *arguments])

    assert result.exit_code == 2
    assert reason in result.stderr
