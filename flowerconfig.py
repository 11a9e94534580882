"""Flower's settings: operators see tasks and run failed ones again; never without a password."""

from __future__ import annotations

import os
import sys

address = os.environ.get("FLOWER_ADDRESS") or "0.0.0.0"  # noqa: S104 (behind basic auth)
port = int(os.environ.get("FLOWER_PORT") or 5555)
basic_auth = [pair for pair in (os.environ.get("FLOWER_BASIC_AUTH") or "").split(",") if ":" in pair]
if not basic_auth:
    sys.exit("FLOWER_BASIC_AUTH: set it to user:password; Flower can run and revoke tasks, so it is never open")
