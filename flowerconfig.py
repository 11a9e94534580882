"""Flower's settings: operators see tasks and run failed ones again; never without a password."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Flower runs this file by its text, at a moment when the project's folder is not where modules are looked for.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from checkout_service.flower_pages.pages import install

address = os.environ.get("FLOWER_ADDRESS") or "0.0.0.0"  # noqa: S104 (behind basic auth)
port = int(os.environ.get("FLOWER_PORT") or 5555)
basic_auth = [pair for pair in (os.environ.get("FLOWER_BASIC_AUTH") or "").split(",") if ":" in pair]
if not basic_auth:
    sys.exit("FLOWER_BASIC_AUTH: set it to user:password; Flower can run and revoke tasks, so it is never open")
# Where operators see the webhook that a task is about: the web tier's /ops.
install(console_url=os.environ.get("CONSOLE_URL") or "")
