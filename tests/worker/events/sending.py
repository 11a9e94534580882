"""A sender in a process of its own, which a test may freeze and kill: ``python -m tests.worker.events.sending``."""

from __future__ import annotations

import asyncio
import os

from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WorkerSettings
from checkout_service.telemetry import logs
from worker.context import make_context
from worker.events.task import send_for


def main() -> None:
    """Send for a minute, or until it is killed."""
    logs.configure(production=False)
    url = Secret(os.environ["REDIS_URL"])
    app = make_context(
        WorkerSettings(
            database_url=Secret(os.environ["WORKER_DATABASE_URL"]),
            redis_url=url,
            broker_url=url,
            environment="test",
            webhook_secrets_keys=(Secret(os.environ["WEBHOOK_SECRETS_KEY"]),),
            webhook_allow_private_addresses=True,
        )
    )
    with app.app_context():
        asyncio.run(send_for(60, linger=float(os.environ["LINGER"])))


if __name__ == "__main__":
    main()
