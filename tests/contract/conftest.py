"""A broker for the session; both bodies of work and sink, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Database, FloorFor
from tests.contract.labs import Rig, TableRig, spool_rig
from tests.services.executor.world import some_settings
from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    broker = RabbitMQ()
    broker.start()
    broker.wait()
    yield broker
    broker.close()


@pytest.fixture(params=["database", "spool"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path, database: Database, floor_for: FloorFor) -> Rig:
    if request.param == "spool":
        return spool_rig(tmp_path / "spool")
    floor = await floor_for("executor", some_settings(tmp_path / "data"))
    return TableRig(floor, await database.pool(""))
