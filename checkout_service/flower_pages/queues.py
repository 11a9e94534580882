"""What waits in the queues: the page ``/broker`` and ``GET /api/queues/length``.

Flower knows a queue by the workers that it has heard of. Where it starts first, or while no worker runs, it would show
Celery's default queue, which nothing of ours is sent to, with nothing in it. So it always looks at ours.
Where it cannot look at all, it says so: an empty list would mean that nothing waits.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    broker = handler.get_broker()
    rabbit = isinstance(broker, RabbitMQ)
    try:
        found: list[Any] = await broker.queues(_Every() if rabbit else names)
    except Exception as error:  # whatever a client of a broker raises, the page is shown
        log.warning("queues_not_seen", error=type(error).__name__)
        raise CannotLookError(NO_ANSWER) from error
    # Flower gives no queue where it could not ask, and it has one of its own at each broker that it can.
    if rabbit and not found:
        raise CannotLookError(NO_MANAGEMENT)
    return [queue for queue in found if queue["name"] in names]


class _Every:
    """Names that every queue is among."""

    def __contains__(self, _name: object) -> bool:
        return True
