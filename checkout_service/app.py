"""Builds the web application: extensions, problems, blueprints, in that order."""

from __future__ import annotations

from flask import Flask

import checkout_service.tables  # noqa: F401 (fills the metadata, whichever rooms are served)
from checkout_service.api import compressing, confirming, heads, openapi_page, problem_documents
from checkout_service.api.addresses import connect_addresses
from checkout_service.api.blueprints import Api
from checkout_service.api.known_routes import KnownRoutes
from checkout_service.api.problems import MalformedBody, NotFound
from checkout_service.api.synchronous_flask import SynchronousFlask
from checkout_service.cache import connect_cache
from checkout_service.captures import routes as captures
from checkout_service.carts import routes as carts
from checkout_service.catalog import routes as listings
from checkout_service.catalog.cli import catalog
from checkout_service.checkout import routes as checkout
from checkout_service.checkout.operations import connect_providers
from checkout_service.console import site as console
from checkout_service.database.engine import connect_database
from checkout_service.database.pools import WEB_BESIDE
from checkout_service.database.setup_cli import database
from checkout_service.disputes import routes as disputes
from checkout_service.doctor.cli import doctor
from checkout_service.endpoints import replay_routes as event_replays
from checkout_service.endpoints import routes as webhook_endpoints
from checkout_service.endpoints.cli import webhook_endpoints as webhook_endpoint_commands
from checkout_service.events import routes as events
from checkout_service.health import routes as health
from checkout_service.identity import tokens
from checkout_service.identity.cli import customer, token
from checkout_service.identity.key_cli import api_keys
from checkout_service.orders import request_routes as order_requests
from checkout_service.orders import routes as orders
from checkout_service.oversight import payment_routes as staff_payments
from checkout_service.oversight import routes as settling
from checkout_service.oversight.after_restore import after_restore_command, after_restore_done_command
from checkout_service.oversight.cli import orders as order_commands
from checkout_service.oversight.cli import payments as payment_commands
from checkout_service.oversight.event_documents import document_events
from checkout_service.pages import site
from checkout_service.payments import routes as payments
from checkout_service.payments.changes import connect_changes
from checkout_service.privacy.cli import privacy
from checkout_service.providers.registry import provider_specs
from checkout_service.publishing.background_publisher import connect_background_publisher
from checkout_service.publishing.events_wake_up import connect_events_notifier
from checkout_service.publishing.publisher import connect_queue
from checkout_service.publishing.wake_up import connect_notifier
from checkout_service.rates.limits import connect_rate_limits
from checkout_service.refunds import routes as refunds
from checkout_service.server import bodies, late_answers
from checkout_service.server.cors import connect_cors
from checkout_service.server.places import connect_places
from checkout_service.settings.values import WebSettings
from checkout_service.settlements import routes as settlements
from checkout_service.stock.cli import stock
from checkout_service.telemetry import logs, request_log
from checkout_service.webhooks.backpressure import WebhookBacklogFull, connect_backpressure
from checkout_service.webhooks.cli import webhooks
from checkout_service.webhooks.committing import connect_committer
from checkout_service.webhooks.routes import blueprint as receiver
from checkout_service.webhooks.routes import paths_of_webhooks


def create_app(settings: WebSettings) -> Flask:
    """The web tier as a WSGI application. Connects to nothing yet, so it may be made before a fork."""
    logs.configure(production=settings.production)
    app = SynchronousFlask("checkout_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = bodies.LARGEST_BODY  # the webhook receiver sets a limit of its own
    # Both would answer a provider's POST with a redirect, which providers do not follow.
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False
    app.extensions["settings"] = settings

    connect_database(
        app,
        settings.database_url,
        name="checkout-web",
        pool_size=settings.web_threads + WEB_BESIDE,
        pooler=settings.database_pooler,
    )
    connect_cache(app, settings.redis_url, deployment=settings.payment_namespace)
    connect_queue(app, settings.broker_url)
    connect_notifier(app)
    connect_background_publisher(app)
    connect_events_notifier(app)
    connect_backpressure(app, max_rows=settings.webhooks_max_rows, max_bytes=settings.webhooks_max_bytes)
    connect_committer(app)
    connect_providers(app, settings)
    connect_places(app)
    connect_changes(app)
    events.connect_events(app)
    request_log.init_app(app)
    late_answers.init_app(app)
    heads.init_app(app)
    compressing.init_app(app)
    bodies.init_app(app)
    connect_addresses(app, settings)
    connect_rate_limits(app)
    tokens.init_app(app, settings)

    problem_documents.init_app(app)
    confirming.init_app(app)

    api = Api(app)
    for room in (
        listings,
        carts,
        checkout,
        payments,
        orders,
        refunds,
        captures,
        order_requests,
        disputes,
        settling,
        settlements,
        events,
    ):
        api.register_blueprint(room.blueprint)
    api.register_blueprint(carts.guest_blueprint)
    api.register_blueprint(orders.staff_blueprint)
    api.register_blueprint(staff_payments.blueprint)
    api.register_blueprint(webhook_endpoints.blueprint)
    api.register_blueprint(event_replays.blueprint)
    app.register_blueprint(receiver)
    app.known_routes = KnownRoutes(app, [*paths_of_webhooks(), "/api/checkout/session"])
    health.init_app(app, settings)
    texts = {name: found for name, spec in provider_specs().items() if (found := spec.webhooks.acknowledgement)}
    document_events(api)
    openapi_page.init_app(app, api, acknowledgements=texts, refusals=(MalformedBody, NotFound, WebhookBacklogFull))
    if settings.pages:
        site.init_app(app)
    if settings.console:
        console.init_app(app)

    connect_cors(app, settings.cors_origins)

    for command in (
        *(api_keys, catalog, customer, database, doctor, order_commands, payment_commands, privacy, stock, token),
        *(webhooks, webhook_endpoint_commands, after_restore_command, after_restore_done_command),
    ):
        app.cli.add_command(command)
    return app
