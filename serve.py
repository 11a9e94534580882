"""Starts the web process: ``python serve.py wsgi:app``. How it is served stands in checkout_service/server."""

from __future__ import annotations

import sys
from importlib import import_module

from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import WebSettings
from checkout_service.telemetry.metrics_folder import MetricsFolderError, name_metrics_folder

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python serve.py wsgi:app")
    try:
        name_metrics_folder("checkout-web-metrics-")
    except MetricsFolderError as error:
        sys.exit(f"settings:\n{error}")
    # Not above: it loads the series, which count where the folder is by then.
    server = import_module("checkout_service.server.granian_server")
    server.main(sys.argv[1], check=lambda: WebSettings.from_environment(account_forms()))
