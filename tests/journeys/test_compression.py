"""Compressed answers on the wire: from the web process itself, through the proxies of deploy/, and by other proxies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.journeys.conftest import CATALOGUE, Town
from tests.journeys.proxies import PROXIES, proxy

GZIP: Final = {"Accept-Encoding": "gzip"}
PLAIN: Final = {"Accept-Encoding": "identity"}

DOCUMENT: Final = "/api/openapi.json"
PAYMENTS: Final = "/api/payments"
ORDERS: Final = "/api/orders"


@pytest.fixture
def payment(town: Town) -> str:
    """One that nothing happens to: whoever reads it twice reads the same."""
    found: str = town.open_session()["payment_id"]
    return found


@pytest.fixture
def cart(town: Town) -> Iterator[None]:
    """A cart of some lines, which are long enough together."""
    with CATALOGUE.open(encoding="utf-8") as lines:
        ids = [json.loads(next(lines))["id"] for _ in range(5)]
    town.sql("UPDATE listings SET stock = 1000 WHERE id = ANY(%s)", ids)
    for listing in ids:
        town.customer.post("/api/cart/items", json={"listing": listing, "qty": 1}).raise_for_status()
    yield
    town.customer.delete("/api/cart").raise_for_status()


@pytest.fixture
def served(request: pytest.FixtureRequest, town: Town, tmp_path: Path) -> Iterator[httpx.Client]:
    """The service as its customer reaches it: by which way the parameter says."""
    name, compresses = request.param
    port = town.web.base_url.port
    assert port is not None
    with ExitStack() as stack:
        if name is not None:
            port = stack.enter_context(proxy(name, tmp_path, upstream=port, compresses=compresses))
        address = f"http://127.0.0.1:{port}"
        yield stack.enter_context(httpx.Client(base_url=address, headers=town.customer.headers, timeout=60))


def raw(client: httpx.Client, path: str, headers: dict[str, str]) -> tuple[httpx.Response, int]:
    """The answer, and how many bytes of it came."""
    with client.stream("GET", path, headers=headers) as answer:
        length = sum(len(piece) for piece in answer.iter_raw())
    return answer, length


OURS: Final = [(None, False), *((name, False) for name in PROXIES)]


@pytest.mark.parametrize("served", OURS, indirect=True)
@pytest.mark.usefixtures("cart")
def test_what_is_long_comes_compressed_and_is_the_same(served: httpx.Client) -> None:
    for path in (DOCUMENT, "/api/cart"):
        plain, compressed = served.get(path, headers=PLAIN), served.get(path, headers=GZIP)
        assert "Content-Encoding" not in plain.headers
        assert compressed.headers["Content-Encoding"] == "gzip"
        assert compressed.content == plain.content
        assert "Accept-Encoding" in compressed.headers["Vary"]
        assert "Accept-Encoding" in plain.headers["Vary"]
        assert raw(served, path, GZIP)[1] * 2 < raw(served, path, PLAIN)[1] == len(plain.content)


@pytest.mark.parametrize("served", OURS, indirect=True)
def test_a_secret_comes_as_it_is(served: httpx.Client, payment: str) -> None:
    for path in (f"{PAYMENTS}/{payment}", f"/api/checkout/session/{payment}", "/", "/cart"):
        answer = served.get(path, headers=GZIP | {"Accept": "text/html, application/json"})
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers, path
        assert "Accept-Encoding" not in answer.headers.get("Vary", ""), path


@pytest.mark.parametrize("served", OURS, indirect=True)
def test_head_names_no_length_that_get_would_not_have(served: httpx.Client) -> None:
    by_head = served.head(DOCUMENT, headers=GZIP)
    assert by_head.status_code == 200
    assert by_head.headers.get("Content-Length") in {None, served.get(DOCUMENT, headers=GZIP).headers["Content-Length"]}
    assert by_head.headers["ETag"] == served.get(DOCUMENT, headers=GZIP).headers["ETag"]


WAYS: Final = [*OURS, *((name, True) for name in PROXIES)]


@pytest.mark.parametrize("served", WAYS, indirect=True)
def test_what_is_known_is_304_whoever_compresses(served: httpx.Client, payment: str) -> None:
    """One weak ETag names both forms, so that it means the same in front of a proxy and behind it."""
    for path in (DOCUMENT, ORDERS, f"{PAYMENTS}/{payment}", f"{PAYMENTS}/{payment}/refunds"):
        etags = {served.get(path, headers=each).headers["ETag"] for each in (GZIP, PLAIN)}
        assert len(etags) == 1, path
        (etag,) = etags
        assert etag.startswith('W/"'), path
        for each in (GZIP, PLAIN):
            again = served.get(path, headers=each | {"If-None-Match": etag})
            assert (again.status_code, again.content) == (304, b""), path


@pytest.mark.parametrize("served", [(name, True) for name in PROXIES], indirect=True)
def test_those_proxies_do_compress(served: httpx.Client, payment: str) -> None:
    answer = served.get(f"{PAYMENTS}/{payment}", headers=GZIP)
    assert answer.headers["Content-Encoding"] == "gzip", "or the test above would say nothing"
    assert answer.json()["id"] == payment
