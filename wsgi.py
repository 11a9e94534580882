"""The web process's entry: ``wsgi:app`` for servers, and ``flask --app wsgi`` for commands."""

from __future__ import annotations

import sys

from checkout_service.app import create_app
from checkout_service.settings import SettingsError, WebSettings

try:
    app = create_app(WebSettings.from_environment())
except SettingsError as error:
    sys.exit(f"The environment cannot be used:\n{error}")
