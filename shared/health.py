"""How outside things fare: one row each, shown on the status page and in metrics."""

from shared.db.outbox import SQL
from shared.floor import Floor
from shared.metrics import HEALTH

MOST_TEXT = 1000
"""Characters kept of what is wrong: programs that are asked may say pages."""


async def report_health(floor: Floor, name: str, ok: bool, text: str = "", project: str = "") -> None:
    """Record that `name` answers, or what is wrong with it, as one line.

    Changes of state keep the time they happened.
    """
    HEALTH.labels(floor.room, name).set(1 if ok else 0)
    await floor.pool.execute(SQL["health"], floor.room, name, project, ok, " ".join(text.split())[:MOST_TEXT])
