"""For operators and load balancers: whether the process is up, whether it can work, and its metrics.

Where the server answers probes from memory, those for /livez and /readyz never come here; see ``probes``.
"""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Flask, Response, current_app, request

from checkout_service.api.callers import public
from checkout_service.api.responses import json_answer
from checkout_service.health.backlog import Backlog
from checkout_service.health.management import ManagementPages
from checkout_service.health.probes import Probes, readiness
from checkout_service.health.process_gauges import show_process
from checkout_service.health.readiness import Readiness
from checkout_service.health.scrapes import Scrapes
from checkout_service.oversight.gauges import Violations
from checkout_service.server.management import MANAGEMENT_KEY
from checkout_service.server.wsgi_adapter import PROBES_KEY
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry import metrics
from checkout_service.telemetry.process_memory import ProcessMemory, siblings

blueprint = Blueprint("health", __name__)


def init_app(app: Flask, settings: WebSettings) -> None:
    looking = app.extensions["readiness"] = Readiness(app, settings)
    probes = app.extensions[PROBES_KEY] = Probes(partial(_look, app, looking))
    scrapes = app.extensions["scrapes"] = Scrapes(
        app, settings, Backlog(), Violations(), ProcessMemory("web", root=siblings)
    )
    app.extensions[MANAGEMENT_KEY] = ManagementPages(probes, scrapes)
    app.register_blueprint(blueprint)


def _look(app: Flask, looking: Readiness) -> dict[str, str]:
    with app.app_context():
        show_process()
    return looking.checks()


@blueprint.get("/livez")
@public
def live() -> Response:
    """The process answers. Nothing else is checked."""
    return json_answer({"status": "alive"})


@blueprint.get("/readyz")
@public
def ready() -> Response:
    """200 while customers can be served and webhooks stored, else 503. Both name what is missing."""
    looking: Readiness = current_app.extensions["readiness"]
    return json_answer(readiness(looking.checks()))


@blueprint.get("/metrics")
@public
def show_metrics() -> Response:
    """Every series, in Prometheus' text format, for who has the token where one is set."""
    scrapes: Scrapes = current_app.extensions["scrapes"]
    page = scrapes.page(request.headers.get("Authorization"))
    return Response(page, headers={"Cache-Control": "no-store"}, content_type=metrics.CONTENT_TYPE)
