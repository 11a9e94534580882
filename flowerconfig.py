"""Flower's settings: those of checkout_service/flower_pages/flower_settings.py, each the same object."""

from __future__ import annotations

import sys
from pathlib import Path

# Flower runs this file by its text, at a moment when the project's folder is not where modules are looked for.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from checkout_service.flower_pages.flower_settings import address, basic_auth, port

__all__ = ["address", "basic_auth", "port"]
