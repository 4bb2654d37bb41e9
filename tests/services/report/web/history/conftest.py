"""The front over weeks of branches."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.db.pool import Pool
from shared.floor import Floor
from tests.conftest import Database, FloorFor
from tests.services.report.web.builders import applied, served, settings_for
from tests.services.report.web.history.builders import Past, a_past, two_series

CRASH = "WARNING in sk_stream_kill_queues (sk_stream_kill_queues:inet_csk_destroy_sock:tcp_done)"

# 40 branches: Jane's series is on the last two, and gro.sh fails there and nowhere else; tls is unsteady; psp.py has
# failed for six branches; udpgso.sh has never.
TESTS = {
    "gro.sh": "p" * 38 + "FF",
    "tls": ("p" * 7 + "~") * 4 + "pppppp" + "f~",
    "psp.py": "p" * 34 + "ffffff",
    "udpgso.sh": "p" * 40,
    "xfrm.sh": "s" * 40,
}


@dataclass
class Weeks:
    """The address, the two series, the cuts."""

    url: str
    jane: int
    other: int
    cuts: list[int]
    owner: Pool
    floor: Floor


@pytest.fixture
async def weeks(database: Database, floor_for: FloorFor, tmp_path: Path) -> AsyncIterator[Weeks]:
    floor = await floor_for("report", settings_for(tmp_path))
    owner = await database.pool()
    jane, other = await two_series(owner)
    await applied(floor, owner, jane)
    past = Past(TESTS, series_on={jane: (38, 39), other: tuple(range(40))}, crash=CRASH)
    cuts = await a_past(floor, owner, past)
    async with served(floor) as url:
        yield Weeks(url, jane, other, cuts, owner, floor)
