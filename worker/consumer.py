"""How a worker takes messages: Celery's consumer without a step for messages that are to be taken at a later time.

On quorum queues Celery declares 28 queues for those, at every broker that is named, each time it connects. None of our
messages has such a time. While a node of RabbitMQ was down, that step kept a worker that had moved to another node from
its work for up to half a minute.
"""

from __future__ import annotations

from typing import ClassVar

from celery.worker.consumer import Consumer

DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class PromptConsumer(Consumer):
    """The consumer, which begins with the first node that answers."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type,misc]  # the stubs have it as a variable
        """Celery's steps but for that one."""

        default_steps: ClassVar = [step for step in Consumer.Blueprint.default_steps if step != DELAYED_DELIVERY]
