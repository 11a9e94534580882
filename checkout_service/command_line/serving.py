"""How the web process begins: first the one that only listens, which runs the same command line as the one that serves.

``serve.py`` of a checkout and ``checkout web`` call this. On SIGHUP the command line runs once more, from the code that
lies there by then.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib import import_module

from checkout_service.server.generation import Generation
from checkout_service.telemetry.metrics_folder import WEB_FOLDER, MetricsFolderError, name_metrics_folder
from checkout_service.telemetry.optional import hide_unused


def serve(target: str) -> None:
    """Serve the application at ``module:name`` until the process ends; exits with its status.

    SIGHUP and SIGTERM have to be handled by then: see whoever calls.
    """
    generation = Generation.from_environment(os.environ)
    try:
        if generation is None:
            sys.exit(import_module("checkout_service.server.listening").main(sys.orig_argv[1:], os.environ))
        name_metrics_folder(WEB_FOLDER)
    except MetricsFolderError as error:
        sys.exit(f"settings:\n{error}")
    hide_unused()
    # Not above: it loads the series, which count where the folder is by then.
    server = import_module("checkout_service.server.granian_server")
    values, registry = map(import_module, ("checkout_service.settings.values", "checkout_service.providers.registry"))
    check = partial(values.WebSettings.from_environment, registry.account_forms())
    server.main(target, generation, check=check)
