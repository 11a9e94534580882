"""Flower's settings: operators see tasks and run failed ones again; never without a password.

Flower runs this file by its text, and takes those names that are options of its own; worker/app.py says where it is. A
checkout has ``flowerconfig.py`` at its top, which hands them on.
"""

from __future__ import annotations

import sys

from checkout_service.flower_pages.pages import install
from checkout_service.settings.values import FlowerSettings, SettingsError

try:
    _settings = FlowerSettings.from_environment()
except SettingsError as error:
    sys.exit(f"The environment cannot be used; Flower can run and revoke tasks, so it is never open:\n{error}")

address = _settings.host
port = _settings.port
# Flower would cut the setting at its commas, whatever stands between them: it gets what was read and found good.
basic_auth = [f"{user}:{password.reveal()}" for user, password in _settings.users.items()]
install(_settings)
