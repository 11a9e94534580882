"""Where the service is, and who calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

import httpx

from checkout_client.api import API_VERSION

TIMEOUT: Final = httpx.Timeout(10.0, read=40.0)
"""In seconds. A read may wait for a change for 30 seconds, so an answer has a little longer."""


class Client:
    """Calls one deployment as one caller: a customer by ``token``, a guest by ``cart_token``, a program by ``api_key``.

    Without any of them it is a stranger, who may look at listings and get a cart. Each request names the version of
    the API by which the client was generated. Close it, or use it in a ``with`` or ``async with`` block. ``transport``
    and ``async_transport`` are httpx's own, for proxies and tests. No redirect is followed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        cart_token: str | None = None,
        api_key: str | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        callers = {"token": token, "cart_token": cart_token, "api_key": api_key}
        named = {name: value for name, value in callers.items() if value is not None}
        for name, value in named.items():
            if not value:
                raise ValueError(f"{name} is empty; leave it out to call as a stranger")
        if len(named) > 1:
            raise ValueError("one caller: name one of token, cart_token and api_key")
        self._base_url = base_url
        self._timeout = timeout
        self._headers = {"API-Version": API_VERSION, **(headers or {})}
        if cart_token is not None:
            self._headers["Cart-Token"] = cart_token
        elif bearer := token or api_key:
            self._headers["Authorization"] = f"Bearer {bearer}"
        self._transport = transport
        self._async_transport = async_transport
        self._http: httpx.Client | None = None
        self._async_http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.Client:
        """What `sync` and `sync_detailed` call by; made when it is first used."""
        if self._http is None:
            self._http = httpx.Client(
                base_url=self._base_url, headers=self._headers, timeout=self._timeout, transport=self._transport
            )
        return self._http

    @property
    def async_http(self) -> httpx.AsyncClient:
        """What `asyncio` and `asyncio_detailed` call by; made when it is first used."""
        if self._async_http is None:
            self._async_http = httpx.AsyncClient(
                base_url=self._base_url, headers=self._headers, timeout=self._timeout, transport=self._async_transport
            )
        return self._async_http

    def close(self) -> None:
        """End the connections of `sync`."""
        if self._http is not None:
            self._http.close()

    async def aclose(self) -> None:
        """End all connections."""
        self.close()
        if self._async_http is not None:
            await self._async_http.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
