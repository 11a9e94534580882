"""Celery's settings for workers, beat and Flower: those of worker/celery_settings.py, each the same object."""

from __future__ import annotations

from worker import celery_settings

globals().update({name: value for name, value in vars(celery_settings).items() if not name.startswith("_")})
