"""What waits in the queues: the page ``/broker`` and ``GET /api/queues/length``.

Flower knows a queue by the workers that it has heard of. Where it starts first, or while no worker runs, it would show
Celery's default queue, which nothing of ours is sent to, with nothing in it. So it always looks at ours.
Where it cannot look at all, it says so: an empty list would mean that nothing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog
from flower.api.tasks import GetQueueLengths
from flower.utils.broker import RabbitMQ
from flower.views.broker import BrokerView
from tornado import web

from checkout_service.tasks import QueueName

NO_MANAGEMENT: Final = (
    "Flower cannot look into the queues: RabbitMQ's management API does not answer. Its plugin is off "
    "(rabbitmq-plugins enable rabbitmq_management), or FLOWER_BROKER_API has to say where it is."
)
NO_ANSWER: Final = "Flower cannot look into the queues: the broker does not answer."

LOOKS_FOR: Final = 5.0
"""Seconds after which a broker that says nothing is one that does not answer."""

# Kombu waits as it likes: what is stuck with a frozen broker is one thread, and who comes meanwhile is told so.
_ONE_AT_A_TIME: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="queues")

log = structlog.get_logger(__name__)


class CannotLookError(Exception):
    """Nothing is known of the queues; the message says why."""


class BrokerPage(BrokerView):  # type: ignore[misc]  # Flower has no types
    """The page, with our queues from the beginning."""

    @web.authenticated
    async def get(self) -> None:
        reason = ""
        queues: Sequence[Any] = ()
        try:
            queues = await look(self)
        except CannotLookError as error:
            reason = str(error)
        self.render("broker.html", broker_url=self.application.broker_uri, queues=queues, reason=reason)


class QueueLengths(GetQueueLengths):  # type: ignore[misc]  # Flower has no types
    """The same for programs; 503 where nothing is known."""

    @web.authenticated
    async def get(self) -> None:
        try:
            self.write({"active_queues": await look(self)})
        except CannotLookError as error:
            raise web.HTTPError(503, str(error)) from error


async def look(handler: Any) -> list[Any]:
    """The queues that we use and those of Flower's workers, with how much waits. Raises CannotLookError."""
    active = {
        queue["name"] for worker in handler.application.workers.values() for queue in worker.get("active_queues", [])
    }
    names = sorted({name.value for name in QueueName} | active)
    try:
        if handler.application.transport == "amqp":
            return await _at_rabbitmq(handler, names)
        loop = asyncio.get_running_loop()
        waiting = loop.run_in_executor(_ONE_AT_A_TIME, _lengths, handler.capp, names)
        return await asyncio.wait_for(waiting, LOOKS_FOR)
    except CannotLookError:
        raise
    except Exception as error:  # whatever a client of a broker raises, the page is shown
        log.warning("queues_not_seen", error=type(error).__name__)
        raise CannotLookError(NO_ANSWER) from error


def _lengths(celery: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """How much waits, by the connection that Celery itself has: Flower reads less of an address than that does.

    Of ``unix://USER:PASSWORD@/run/valkey.sock?db=3`` it would take neither the user nor the database.
    """
    with celery.connection_for_read() as connection, connection.channel() as channel:
        return [{"name": name, "messages": channel._size(name)} for name in names]  # what kombu's own looks go by


async def _at_rabbitmq(handler: Any, names: Sequence[str]) -> list[Any]:
    """What the first node says whose management API answers. Raises CannotLookError where none does."""
    conf = handler.capp.conf
    given = conf.broker_url
    nodes = [each.strip() for each in (given.split(";") if isinstance(given, str) else given)]
    api = handler.application.options.broker_api or None
    for node in nodes[:1] if api else nodes:
        broker = RabbitMQ(node, http_api=api, broker_use_ssl=conf.broker_use_ssl)
        try:
            found = await broker.queues(_Every())
        except Exception as error:  # noqa: BLE001 (the next node may answer)
            log.warning("queues_not_seen", error=type(error).__name__)
            continue
        # Flower gives no queue where it could not ask, and it has one of its own at each broker that it can.
        if found:
            return [queue for queue in found if queue["name"] in names]
    raise CannotLookError(NO_MANAGEMENT)


class _Every:
    """Names that every queue is among."""

    def __contains__(self, _name: object) -> bool:
        return True
