"""Remotes that post nothing: they publish a manifest in NIPA's shape, and we come and look."""

from services.ingest.remotes.doctor import examine
from services.ingest.remotes.poller import RemotePoller, make_pollers

__all__ = ["RemotePoller", "examine", "make_pollers"]
