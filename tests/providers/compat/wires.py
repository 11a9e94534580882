"""The official clients' wires, led to our stand-ins instead of the network."""

from __future__ import annotations

import json
from typing import Any

import httpx
import requests
from requests.adapters import BaseAdapter

from tests.providers.kits.kit import Answer


class AdyenWire:
    """What Adyen's client sends its requests with."""

    user_agent = "tests"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def request(self, method: str, url: str, **given: Any) -> tuple[str, Any, int, dict[str, str]]:
        headers = {**given["headers"], "X-API-Key": given["xapikey"]}
        request = httpx.Request(method, url, headers=headers, json=given["json"]) if given["json"] else None
        answer = self._answer(request or httpx.Request(method, url, headers=headers))
        return answer.text, given["json"], answer.status_code, dict(answer.headers)


class RequestsWire(BaseAdapter):
    """A connection of the requests library."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        sent = httpx.Request(str(request.method), str(request.url), headers=dict(request.headers), content=body)
        answer = self._answer(sent)
        response = requests.Response()
        response.status_code, response._content = answer.status_code, answer.content
        response.headers.update(dict(answer.headers) | {"Content-Type": "application/hal+json"})
        return response

    def close(self) -> None:
        pass


def content_of(call: httpx.Request, *headers: str) -> tuple[Any, ...]:
    """What matters of a request: where it goes, these headers, and its content."""
    return (
        call.method,
        str(call.url),
        {name: call.headers.get(name) for name in headers},
        json.loads(call.content) if call.content.strip(b'"') else None,
    )
