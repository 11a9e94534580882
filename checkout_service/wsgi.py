"""The web tier's application, made of the environment: for servers ``checkout_service.wsgi:app``, and for commands.

A checkout has ``wsgi.py`` at its top, which hands it on: ``wsgi:app`` and ``flask --app wsgi``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from checkout_service.app import create_app
from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import SettingsError, WebSettings

# Flask's command line says who it is. Before the app sets up its logs: Alembic tells of each of its parts as it loads.
# The web process needs none of them, and nothing else may import the tools of one machine.
COMMANDS = (
    *("checkout_service.database.cli", "checkout_service.endpoints.listen_cli"),
    *("checkout_service.local.demo_cli", "checkout_service.local.mock_cli", "checkout_service.local.trigger_cli"),
)
commands = [import_module(name) for name in COMMANDS] if os.environ.get("FLASK_RUN_FROM_CLI") else []

try:
    app = create_app(WebSettings.from_environment(account_forms()))
except SettingsError as error:
    sys.exit(f"The environment cannot be used:\n{error}")

for command in commands:
    command.init_app(app)
