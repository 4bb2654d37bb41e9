"""What is declared on the broker: one topic exchange, one durable quorum queue per room.

Operators may bind queues of their own to the exchange (read-only user); nothing from outside is ever consumed
from it. Routing keys are the event types without the prefix: ``branch.cut.v1``.
"""

from typing import Any

from shared.events.base import PREFIX

DELIVERY_LIMIT = 50
"""A far backstop: RabbitMQ counts a killed consumer as a failed delivery. We count failures in the inbox."""

QUEUE_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}


def routing_key(type_name: str) -> str:
    return type_name.removeprefix(PREFIX)


def queue_name(exchange: str, queue: str) -> str:
    """Queue names carry the exchange's, so that two installations can share a broker."""
    return f"{exchange}.{queue}"
