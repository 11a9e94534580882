"""Which process holds which secret. Every other setting goes to every process.

Whoever breaks into a process reads its environment. So the web holds no secret that signs webhooks, workers none that
signs callers' tokens, and beat and Flower nothing of a provider and no way to the database. ``make run`` gives each
process what is written here, and deploy/ is compared with it by a test.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

SECRETS: Final = (
    ("CELERY_BROKER_URL", ("broker",)),
    ("REDIS_URL", ("broker",)),
    ("DATABASE_URL", ("web",)),
    ("WORKER_DATABASE_URL", ("worker",)),
    ("MIGRATION_DATABASE_URL", ("release",)),
    ("JWT_SECRET", ("web",)),
    ("PAGES_SECRET", ("web",)),
    ("CONSOLE_BASIC_AUTH", ("web",)),
    ("FLOWER_BASIC_AUTH", ("flower",)),
    ("FLOWER_*_SECRET", ("flower",)),  # Flower's own settings
    ("FLOWER_*_KEY", ("flower",)),
    ("*_WEBHOOK_SECRETS", ("worker",)),  # from here on a provider's
    ("*_WEBHOOK_ID", ("worker",)),
    ("*_KEY", ("web", "worker")),
    ("*_SECRET", ("web", "worker")),
    ("*_TOKEN", ("web", "worker")),
    ("*_PASSWORD", ("web", "worker")),
)
"""Names of settings, as patterns of which the first that fits holds, and the files that they are kept in.

A file is /etc/checkout/NAME.env for systemd, and the Secret checkout-NAME in Kubernetes.
"""

FILES_OF_PROCESS: Final = {
    "web": ("broker", "web"),
    "worker": ("broker", "worker"),
    "housekeeping": ("broker", "worker"),
    "beat": ("broker",),
    "flower": ("broker", "flower"),
    # It loads the web's app, whose settings it has to pass.
    "release": ("broker", "web", "release"),
}
"""The files that each process of the Procfile reads."""


def files_with(setting: str) -> tuple[str, ...]:
    """The files that a setting is kept in; none if it is no secret."""
    return next((files for pattern, files in SECRETS if fnmatchcase(setting, pattern)), ())


def may_hold(process: str, setting: str) -> bool:
    """Whether a process of the Procfile gets the setting."""
    files = files_with(setting)
    return not files or bool(set(files) & set(FILES_OF_PROCESS[process]))
