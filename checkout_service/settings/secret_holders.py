"""Which process holds which secret. What does not look like a secret goes to every process.

Whoever breaks into a process reads its environment. So the web holds no secret that signs webhooks, workers none that
signs callers' tokens, and beat and Flower nothing of a provider and no way to the database. ``make run`` gives each
process what is written here: a name that looks secret and is not listed goes to none of them. A test compares deploy/
and its page with it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

SECRETS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("CELERY_BROKER_URL", ("broker",)),
    ("REDIS_URL", ("broker",)),
    ("DATABASE_URL", ("web",)),
    ("WORKER_DATABASE_URL", ("worker",)),
    ("MIGRATION_DATABASE_URL", ("release",)),
    ("SETTLEMENTS_DATABASE_URL", ("settlements",)),  # of a command, and no process that stays
    ("*_REPORTS_*", ("settlements",)),  # all that its fetch needs of a provider
    ("JWT_SECRET", ("web",)),
    ("PAGES_SECRET", ("web",)),
    ("CONSOLE_BASIC_AUTH", ("web",)),
    ("CONSOLE_OIDC_CLIENT_SECRET", ("web",)),
    ("METRICS_TOKEN", ("web", "worker")),
    (
        "WEBHOOK_SECRETS_KEY",
        ("web", "worker"),
    ),  # one keeps secrets of webhook endpoints, one signs by them
    ("OTEL_EXPORTER_OTLP*_HEADERS", ("web", "worker")),  # where a collector wants a key, it is in a header
    ("FLOWER_BASIC_AUTH", ("flower",)),
    ("FLOWER_*SECRET*", ("flower",)),  # Flower's own settings
    ("FLOWER_*KEY*", ("flower",)),
    (
        "PG*",
        ("web", "worker", "release", "settlements"),
    ),  # what libpq reads: PGPASSWORD, PGPASSFILE, PGSSLKEY and others
    ("*_WEBHOOK_SECRETS", ("worker",)),  # from here on a provider's
    ("*_WEBHOOK_ID", ("worker",)),
    ("*_KEY", ("web", "worker")),
    ("*_SECRET", ("web", "worker")),
    ("*_TOKEN", ("web", "worker")),
    ("*_PASSWORD", ("web", "worker")),
    ("*PASS*", ()),  # from here on names that we do not know: nobody gets them
    ("*SECRET*", ()),
    ("*TOKEN*", ()),
    ("*KEY*", ()),
    ("*CREDENTIAL*", ()),
    ("*_AUTH", ()),
    ("*_DSN", ()),
    ("*DATABASE_URL", ()),
    ("*POSTGRES*_UR[IL]", ()),
    ("*REDIS*_UR[IL]", ()),
    ("*AMQP*_UR[IL]", ()),
    ("*RABBITMQ*_UR[IL]", ()),
    ("*BROKER*_UR[IL]", ()),
)
"""Names of settings, as patterns of which the first that fits holds, and the files that they are kept in.

A file is /etc/checkout/NAME.env for systemd, and the Secret checkout-NAME in Kubernetes.
"""

FILES_OF_PROCESS: Final = {
    "web": ("broker", "web"),
    "worker": ("broker", "worker"),
    "housekeeping": ("broker", "worker"),
    "sender": ("broker", "worker"),
    "beat": ("broker",),
    "flower": ("broker", "flower"),
    # It loads the web's app, whose settings it has to pass.
    "release": ("broker", "web", "release"),
}
"""The files that each process of the Procfile reads."""

FILES_OF_PARENT: Final = {"workers": FILES_OF_PROCESS["worker"]}
"""The files that a parent of several processes reads: each of them reads the same ones alone, so none learns more."""

FILES_OF_COMMAND: Final = {"settlements": ("settlements",)}
"""The files that a command reads which a timer runs."""

NO_SECRETS: Final = frozenset({"CART_TOKEN_DAYS"})
"""Settings whose names look like those of secrets: a number of days."""


def is_secret(setting: str) -> bool:
    """Whether the setting is a secret, or has a name that looks like one."""
    return _listed(setting) is not None


def files_with(setting: str) -> tuple[str, ...]:
    """The files that a secret is kept in; none if the setting is no secret, or a secret that no process gets."""
    return _listed(setting) or ()


def may_hold(process: str, setting: str) -> bool:
    """Whether a process of the Procfile, a parent of several, or a command that a timer runs, gets the setting."""
    files = {**FILES_OF_PROCESS, **FILES_OF_PARENT, **FILES_OF_COMMAND}[process]
    return not is_secret(setting) or bool(set(files_with(setting)) & set(files))


def _listed(setting: str) -> tuple[str, ...] | None:
    """The files of the first pattern that fits, in capitals or not; None if none does."""
    if setting.upper() in NO_SECRETS:
        return None
    return next((files for pattern, files in SECRETS if fnmatchcase(setting.upper(), pattern)), None)
