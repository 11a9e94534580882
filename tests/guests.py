"""Guests of the shop, in this process: what a browser would send of the pages that it was shown."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


class Guest:
    """Somebody with a browser, and what the forms of a page that they see hold."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=BROWSER)

    def post(self, path: str, **fields: str) -> TestResponse:
        token = re.search(r'name="csrf" value="(\w+)"', self.get("/").text)
        assert token
        return self.client.post(path, data={"csrf": token[1], **fields}, headers=BROWSER)

    def put(self, listing: dict[str, Any], qty: str = "1") -> TestResponse:
        return self.post("/cart/items", listing=str(listing["id"]), qty=qty)

    def checkout_form(self) -> dict[str, str]:
        form = self.get("/cart").text.split('action="/checkout"')[1]
        return dict(re.findall(r'name="(key|cart|total)" value="([^"]+)"', form)[:3])

    def check_out(self, **changes: str) -> TestResponse:
        return self.post("/checkout", **(self.checkout_form() | changes))
