"""Starts the web process: ``python serve.py wsgi:app``. How it is served stands in checkout_service/server."""

from __future__ import annotations

import sys

from checkout_service.providers.registry import account_forms
from checkout_service.server.granian_server import main
from checkout_service.settings.values import WebSettings

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python serve.py wsgi:app")
    main(sys.argv[1], check=lambda: WebSettings.from_environment(account_forms()))
