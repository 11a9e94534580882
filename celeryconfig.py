"""Celery's settings for workers, beat and Flower: those of worker/celery_settings.py, each the same object."""

from __future__ import annotations

from worker.celery_settings import *  # noqa: F403 (what Celery reads are all its names)
