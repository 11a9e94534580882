"""The mock provider's server: what MOCK_API_BASE may name. It holds payments, and lies, fails and dawdles on demand.

    POST /payments              opens one; the same Idempotency-Key gets the same payment, with its first amount
    GET  /payments/{ref}        what became of it
    POST /payments/{ref}/cancel makes sure that it cannot be paid any more, if it was not
    POST /payments/{ref}/refunds gives back; the same Idempotency-Key gets the same refund
    POST /payments/{ref}/captures captures what is held back; the same Idempotency-Key gets the same capture
    POST /payments/{ref}/void   releases what is held back
    PUT  /_behaviour            how to answer from now on, see mock_state.Behaviour; {} is honest again
    PUT  /_payments/{ref}       sets status, amount or currency, as if a customer or a bank had acted
    PUT  /_payments/{ref}/reports  knows what somebody else's webhook tells: a status, and what came by it
    PUT  /_payments/{ref}/actions/{name}  does what a button of mock_money does; answers what is to be reported of it
    PUT  /_payments/{ref}/refunds/{refund_ref}  the same of a refund, or makes one as a dashboard does
    GET  /_payments             every payment and refund, and how many calls came
    DELETE /_payments           forgets them
    GET  /pay/{ref}             the provider's own page, for a customer in a browser: see mock_page
    POST /pay/{ref}             does what a button of that page says, and sends the customer back

It binds 127.0.0.1 alone: anybody who reaches it may do all of this. It has the page where it knows whom to write to.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from checkout_service.local.mock_actions import BY_NAME, LATE_AFTER
from checkout_service.local.mock_page import Page, ProviderSite, style
from checkout_service.local.mock_state import AnswerError, Bank, Behaviour, GarbageError
from checkout_service.settings.values import signing_secret

_JSON: Final = {"Content-Type": "application/json"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: MockServer

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 (http.server's names)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if page := self._page(body):
                self._send(page.status, page.body, page.headers)
                return
            self._send(200, json.dumps(self._dispatch(json.loads(body) if body else {})).encode())
        except GarbageError as error:
            self._send(200, error.body)
        except AnswerError as error:
            if error.status:
                self._send(error.status, json.dumps({"error": error.code or error.status}).encode())
            self.close_connection = not error.status
        except (ValueError, KeyError, TypeError) as error:
            self._send(400, json.dumps({"error": str(error)}).encode())

    def _page(self, body: bytes) -> Page | None:
        address = urlsplit(self.path)
        match self.command, self.server.ui, address.path.strip("/").split("/"):
            case "GET", ProviderSite() as ui, ["pay", reference]:
                return ui.show(reference, address.query)
            case "POST", ProviderSite() as ui, ["pay", reference]:
                return ui.act(reference, body)
            case "GET", ProviderSite(), ["page.css"]:
                return style()
            case _:
                return None

    def _dispatch(self, value: dict[str, Any]) -> dict[str, Any]:
        bank = self.server.bank
        match self.command, [unquote(step) for step in self.path.strip("/").split("/")]:
            case "POST", ["payments"]:
                return bank.open(self.headers["Idempotency-Key"] or value["payment_id"], value)
            case "GET", ["payments", reference]:
                return bank.look_up(reference)
            case "POST", ["payments", reference, "cancel"]:
                return bank.cancel(reference)
            case "POST", ["payments", reference, "refunds"]:
                return bank.refund(reference, self.headers["Idempotency-Key"] or value["refund_id"], value)
            case "POST", ["payments", reference, "captures"]:
                return bank.capture(reference, self.headers["Idempotency-Key"] or value["request_id"], value)
            case "POST", ["payments", reference, "void"]:
                return bank.void(reference, self.headers["Idempotency-Key"] or reference)
            case "PUT", ["_payments", reference, "actions", name]:
                action = BY_NAME.get(name)
                if action is None or action.moves is None:
                    raise AnswerError(404)
                return {"reports": [asdict(report) for report in bank.move(reference, action.moves)]}
            case "PUT", ["_payments", reference, "reports"]:
                return bank.report(reference, value["status"], value)
            case "PUT", ["_payments", reference, "refunds", refund_ref]:
                return bank.put_refund(reference, refund_ref, value)
            case "PUT", ["_behaviour"]:
                bank.behave(Behaviour(**value))
            case "PUT", ["_payments", reference]:
                return bank.put(reference, value)
            case "DELETE", ["_payments"]:
                bank.forget()
            case "GET", ["_payments"]:
                return bank.contents()
            case _:
                raise AnswerError(404)
        return {}

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] = _JSON) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the caller's own log tells of every call."""


class MockServer(ThreadingHTTPServer):
    """The server; each connection has a thread. ``port`` 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, *, journal: Path | None = None) -> None:
        self.bank = Bank(journal)
        self.ui: ProviderSite | None = None
        super().__init__(("127.0.0.1", port), _Handler)

    def open_page(self, *, shop: str, secret: str, late_after: float = LATE_AFTER) -> None:
        """Serve the provider's own page too, and write to the shop with this address."""
        self.ui = ProviderSite(bank=self.bank, shop=shop, secret=secret, late_after=late_after)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m checkout_service.local.mock_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--journal", type=Path, help="a file to keep payments in")
    parser.add_argument("--shop", help="the service's address: webhooks go there, signed by MOCK_WEBHOOK_SECRETS")
    given = parser.parse_args()
    with MockServer(given.port, journal=given.journal) as server:
        if given.shop:
            server.open_page(shop=given.shop, secret=signing_secret("mock").reveal())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit())
        print(f"The mock provider serves at {server.url}", flush=True)
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
