"""The task ``events.send``: give numbers, claim endpoints, send what is due there, until nothing is left or the time is
over.
"""

from __future__ import annotations

import asyncio
from time import monotonic

import structlog
from celery import shared_task

from checkout_service.api_versions import API_VERSIONS
from checkout_service.cache import cache
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.endpoints.addresses import Policy
from checkout_service.endpoints.secrets import NoSecretsKeyError, UnreadableSecretError, open_secret
from checkout_service.endpoints.signing import AGENT, Signer, make_signer
from checkout_service.endpoints.states import Signing
from checkout_service.publishing.events_wake_up import WAKE_UP
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from worker.context import settings
from worker.events.claims import Claimed, something_is_due
from worker.events.ending import RUN_FOR, Ending
from worker.events.posting import Poster
from worker.events.sender import Sender
from worker.events.sequencer import give_numbers
from worker.events.slots import MOST_IN_FLIGHT
from worker.events.stopping import is_stopping
from worker.events.times import LINGER

log = structlog.get_logger(__name__)


@shared_task(name=TaskName.SEND_EVENTS)
def send() -> str:
    """Send what is due to webhook endpoints; run it again at any time, and in several processes at once.

    What the web tier has written gets its numbers first.
    """
    until = monotonic() + RUN_FOR
    attempts = 0
    try:
        give_numbers()
        while True:
            if something_is_due():
                attempts += asyncio.run(send_for(max(0.0, until - monotonic())))
            # Nobody was sent a message meanwhile. So it is released before the last look: what comes later sends one.
            cache().release(WAKE_UP, logged=False)
            if is_stopping() or not (give_numbers().events or something_is_due()):
                return f"{attempts} attempts"
            if monotonic() > until:
                _call_another()
                return f"{attempts} attempts, and more to do"
    except DatabaseUnavailableError:
        cache().release(WAKE_UP, logged=False)
        log.warning("database_unavailable")
        return f"{attempts} attempts; the database is unavailable, and the sweep sends another wake-up"


async def send_for(run_for: float, *, linger: float = LINGER) -> int:
    """Send for so many seconds at most, until nothing was left to do for ``linger`` seconds; how many attempts.

    Raises DatabaseUnavailableError.
    """
    own = settings()
    policy = Policy(private=own.webhook_allow_private_addresses, ports=own.webhook_ports)
    poster = Poster(policy, most=MOST_IN_FLIGHT)
    try:
        sender = Sender(
            poster,
            make_signers=_signers,
            agent=AGENT,
            wake_up=WAKE_UP,
            call_another=_call_another,
            ending=Ending(run_for, is_stopping),
            linger=linger,
        )
        return await sender.run()
    finally:
        await poster.close()


def _signers(claimed: Claimed) -> list[Signer]:
    """Those of the endpoint's live secrets; none if one cannot be read, since all sign or none does.

    None, too, for an endpoint of a version of the API that a later release knows: its own senders see to it.
    """
    if claimed.api_version not in API_VERSIONS:
        return []
    try:
        return [
            make_signer(
                Signing(secret.scheme), open_secret(secret.ciphertext, settings().webhook_secrets_keys), secret.ends_in
            )
            for secret in claimed.secrets
        ]
    except (NoSecretsKeyError, UnreadableSecretError, ValueError):
        return []


def _call_another() -> None:
    """Have another process join in; where the broker is away, the sweep does."""
    try:
        task_queue().enqueue(TaskName.SEND_EVENTS)
    except QueueUnavailableError as error:
        log.warning("broker_unavailable", error=str(error))
