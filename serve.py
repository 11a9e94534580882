"""Starts the web process: ``python serve.py wsgi:app``. How it is served stands in checkout_service/server.

The first process only listens. It runs this file again, as the one that serves; on SIGHUP once more, from the code that
lies here by then.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # Before all else: SIGHUP would end a service that is only starting, and the first process of a container has no
    # SIGTERM of its own.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

import os
from functools import partial
from importlib import import_module

from checkout_service.server.generation import Generation
from checkout_service.telemetry.metrics_folder import WEB_FOLDER, MetricsFolderError, name_metrics_folder

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python serve.py wsgi:app")
    generation = Generation.from_environment(os.environ)
    try:
        if generation is None:
            sys.exit(import_module("checkout_service.server.listening").main(sys.orig_argv[1:], os.environ))
        name_metrics_folder(WEB_FOLDER)
    except MetricsFolderError as error:
        sys.exit(f"settings:\n{error}")
    # Not above: it loads the series, which count where the folder is by then.
    server = import_module("checkout_service.server.granian_server")
    values, registry = map(import_module, ("checkout_service.settings.values", "checkout_service.providers.registry"))
    check = partial(values.WebSettings.from_environment, registry.account_forms())
    server.main(sys.argv[1], generation, check=check)
