"""/metrics: who may read it, and how often it is made."""

from __future__ import annotations

from flask import Flask
from prometheus_client.registry import Collector

from checkout_service.api.problems import NotFound, TooManyWaiting, Unauthorized
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry import metrics
from checkout_service.telemetry.scrape_page import BeingMadeError, ScrapePage, is_bearer


class Scrapes:
    """The page of every series, for who has ``METRICS_TOKEN``; without a token for everybody, in production nobody."""

    def __init__(self, app: Flask, settings: WebSettings, *at_scrape: Collector) -> None:
        self._app = app
        self._token = settings.metrics_token
        self._is_open = not settings.production
        self._at_scrape = at_scrape
        self._page = ScrapePage(self._made, folder=metrics.FOLDER)

    def page(self, authorization: str | None) -> bytes:
        """The page, no older than a second, or the one before while somebody makes it.

        ``authorization`` is the header of that name. Raises Unauthorized, NotFound where nobody may read it, and
        TooManyWaiting where it is being made for the first time. Only the one caller who makes it waits.
        """
        if self._token is None:
            if not self._is_open:
                raise NotFound("There is nothing at this path: METRICS_TOKEN is not set.")
        elif not is_bearer(authorization, self._token.reveal()):
            raise Unauthorized(
                "Send an Authorization header: Bearer and METRICS_TOKEN.",
                headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
            )
        try:
            return self._page.text()
        except BeingMadeError as error:
            raise TooManyWaiting("The metrics are being made at this moment: send the request again.") from error

    def _made(self) -> bytes:
        with self._app.app_context():
            return metrics.expose(*self._at_scrape)
