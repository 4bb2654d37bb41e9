"""Prometheus metrics of this process, in one registry of our own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

EVENTS = Counter("netci_events_handled", "Events handled", ["queue", "type", "outcome"], registry=REGISTRY)
WORK = Counter("netci_work", "Pieces of work ended", ["room", "kind", "outcome"], registry=REGISTRY)
OUTSIDE = Counter("netci_outside_requests", "Requests to the outside", ["to", "outcome"], registry=REGISTRY)
OUTSIDE_SECONDS = Histogram("netci_outside_seconds", "Time of requests to the outside", ["to"], registry=REGISTRY)
HEALTH = Gauge("netci_health", "1 if the outside thing answers, else 0", ["room", "name"], registry=REGISTRY)
FOUND = Counter(
    "netci_series_found", "Series of a source by the poll that first saw them", ["source", "by"], registry=REGISTRY
)
CASES = Counter("netci_cases", "Cases written to the ledger", ["remote", "result"], registry=REGISTRY)
POSTS = Counter("netci_posts", "Checks posted", ["project", "context", "outcome"], registry=REGISTRY)
WEBHOOKS = Counter("netci_webhook_attempts", "Attempts to deliver to webhooks", ["outcome"], registry=REGISTRY)
WEBHOOKS_DUE = Gauge("netci_webhook_due", "Deliveries to webhooks that wait", registry=REGISTRY)
LAG = Gauge("netci_queue_due", "Deliveries due", ["queue"], registry=REGISTRY)
DEAD = Gauge("netci_queue_dead", "Dead letters", ["queue"], registry=REGISTRY)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
