"""Puts the retry pages into Flower: its routes, and templates laid over Flower's own without copying them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from flower import urls
from tornado.template import Loader, Template
from tornado.web import url

from checkout_service.flower_pages.retrying import FailedTasks, RetryTask, webhook_url, why_not

OURS: Final = Path(__file__).parent / "templates"
FLOWERS: Final = "flower/"
"""Names with this prefix are Flower's own templates, for ours of the same name to build on."""


class LayeredLoader(Loader):
    """Our template of a name where there is one, else Flower's."""

    def _create_template(self, name: str) -> Template:
        own = OURS / name
        path = own if own.is_file() else Path(self.root) / name.removeprefix(FLOWERS)
        return Template(path.read_bytes(), name=name, loader=self)


def install(*, console_url: str = "") -> None:
    """Add the routes and templates; Flower reads both when it starts, just after flowerconfig.py.

    With the console's address, a task that is about a webhook leads to that webhook.
    """
    urls.handlers[0:0] = [
        url(r"/failed", FailedTasks, name="failed"),
        (r"/api/task/retry/(.+)", RetryTask),
    ]
    own = {"why_not": why_not, "webhook_url": partial(webhook_url, console_url.rstrip("/"))}
    urls.settings["template_loader"] = LayeredLoader(urls.settings["template_path"], namespace=own)
