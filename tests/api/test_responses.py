"""Finished answers: made by less than Werkzeug's, and sent as those are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Response

from checkout_service.api.responses import Finished


def _pieces() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def _sent(answer: Response, method: str) -> tuple[str, dict[str, str], bytes]:
    begun: list[Any] = []
    pieces = answer({"REQUEST_METHOD": method}, lambda *head: begun.extend(head))  # type: ignore[arg-type]
    whole = b"".join(pieces)
    if hasattr(pieces, "close"):
        pieces.close()
    status, headers = begun
    return status, {name: value for name, value in headers if name != "Content-Length"}, whole


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [200, 202, 204, 304, 404])
@pytest.mark.parametrize("body", [b"{}", "text", b"", ["a", "b"], [b"a", b"b"], _pieces], ids=range(6))
def test_a_finished_answer_is_sent_as_werkzeug_sends_it(body: Any, status: int, method: str) -> None:
    finished, other = (
        kind(body() if callable(body) else body, status=status, content_type="text/plain")
        for kind in (Finished, Response)
    )

    assert _sent(finished, method) == _sent(other, method)


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_to_be_called_at_its_end_is_called(status: int, method: str) -> None:
    answer = Finished(b"{}", status=status)
    ended: list[str] = []
    answer.call_on_close(lambda: ended.append("ended"))

    _sent(answer, method)

    assert ended == ["ended"]
