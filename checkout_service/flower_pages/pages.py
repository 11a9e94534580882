"""Puts the retry pages into Flower: its routes, and templates laid over Flower's own without copying them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

from flower import app as flower_app
from flower import urls
from flower.api.tasks import GetQueueLengths
from flower.views.auth import LoginHandler
from flower.views.broker import BrokerView
from flower.views.monitor import Healthcheck
from tornado.httpserver import HTTPServer
from tornado.template import Loader, Template
from tornado.web import StaticFileHandler, url

from checkout_service.api.forwarded import Addresses
from checkout_service.flower_pages.queues import BrokerPage, QueueLengths
from checkout_service.flower_pages.retrying import FailedTasks, RetryTask, webhook_url, why_not
from checkout_service.flower_pages.sign_in import ADDRESSES, PASSWORDS, HealthCheck, Login, guarded
from checkout_service.identity.passwords import Passwords
from checkout_service.settings.values import FlowerSettings

OURS: Final = Path(__file__).parent / "templates"
FLOWERS: Final = "flower/"
"""Names with this prefix are Flower's own templates, for ours of the same name to build on."""


class LayeredLoader(Loader):
    """Our template of a name where there is one, else Flower's."""

    def _create_template(self, name: str) -> Template:
        own = OURS / name
        path = own if own.is_file() else Path(self.root) / name.removeprefix(FLOWERS)
        return Template(path.read_bytes(), name=name, loader=self)


LARGEST_BODY: Final = 2**20
"""Bytes. A body is read before anybody is asked for a password; Tornado would take 100 MB."""

IDLE_WITHIN: Final = 60.0
"""Seconds for which a connection may say nothing, and so long may a body take. Tornado would give it an hour."""


def install(settings: FlowerSettings) -> None:
    """Add the routes and templates, and the sign-in before all of them.

    Flower reads all three when it starts, just after flower_settings.py. With the console's address, a task that is
    about a webhook leads to that webhook.
    """
    own_routes = [
        url(r"/failed", FailedTasks, name="failed"),
        (r"/api/task/retry/(.+)", RetryTask),
    ]
    urls.handlers[:] = [_behind_the_password(route) for route in [*own_routes, *urls.handlers]]
    urls.settings["static_handler_class"] = guarded(StaticFileHandler)
    urls.settings[PASSWORDS] = Passwords(settings.users)
    urls.settings[ADDRESSES] = Addresses(proxies=settings.trusted_proxies, header=settings.proxy_header)
    flower_app.HTTPServer = partial(
        HTTPServer, max_body_size=LARGEST_BODY, idle_connection_timeout=IDLE_WITHIN, body_timeout=IDLE_WITHIN
    )
    own = {"why_not": why_not, "webhook_url": partial(webhook_url, settings.console_url)}
    urls.settings["template_loader"] = LayeredLoader(urls.settings["template_path"], namespace=own)


def _behind_the_password(route: Any) -> Any:
    """The route with a handler of ours; Flower has pairs, triples and specs of routes."""
    spec = route if isinstance(route, url) else url(*route)
    open_ = {Healthcheck: HealthCheck, LoginHandler: Login}
    ours = {BrokerView: BrokerPage, GetQueueLengths: QueueLengths}
    handler = open_.get(spec.handler_class) or guarded(ours.get(spec.handler_class, spec.handler_class))
    return url(spec.regex.pattern, handler, spec.kwargs, spec.name)
