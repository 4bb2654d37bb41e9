"""Plans: who runs a branch, and until when."""

from datetime import UTC, datetime, timedelta

from services.executor.plan import Plan, Runner, plans

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def a_runner(name: str, *streams: str, minutes: int = 170) -> Runner:
    return Runner("metal", name, streams, timedelta(minutes=minutes))


def test_every_executor_of_the_stream_and_no_other() -> None:
    runners = [a_runner("a", "net"), a_runner("b", "net-next", "net", minutes=10), a_runner("c", "bpf")]
    assert plans(runners, "net", NOW) == (
        Plan("metal", "a", NOW + timedelta(minutes=170)),
        Plan("metal", "b", NOW + timedelta(minutes=10)),
    )
    assert plans(runners, "none", NOW) == ()
