"""Shifts the clock of beat where it is read, by CLOCK_SHIFT seconds: Python imports this file at its start.

libfaketime does so for all other processes. Under it Python's time.sleep fails, by which beat waits.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta

from celery.app.base import Celery

_SHIFT = float(os.environ["CLOCK_SHIFT"])
_time, _now = time.time, Celery.now


def _shifted(app: Celery) -> datetime:
    return _now(app) + timedelta(seconds=_SHIFT)


time.time = lambda: _time() + _SHIFT
Celery.now = _shifted
