"""The broker's queues, as producers and consumers declare them alike."""

from __future__ import annotations

from kombu import Exchange, Queue

from checkout_service.tasks import QueueName


def queues(broker_url: str) -> list[Queue] | None:
    """The queues, for producers and consumers alike: quorum queues on RabbitMQ, plain lists on Redis.

    On Redis None: Celery then pushes straight to the list, which needs no binding that could be missing.
    """
    if not broker_url.startswith("amqp"):
        return None
    return [
        Queue(
            name.value,
            Exchange(name.value, "direct"),
            routing_key=name.value,
            queue_arguments={"x-queue-type": "quorum"},
        )
        for name in QueueName
    ]
