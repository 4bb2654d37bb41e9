"""The demo ends with the right verdicts and says so; what would be wrong is named, each by its own words."""

from pathlib import Path

import pytest

from shared.practice.config import CHECKS
from shared.practice.demo.judge import Judge, table
from shared.practice.patchwork import Served, changes, standard
from shared.practice.world_series import PracticeSeries, Role, World, write
from tests.e2e.programs import free_listen, netci

RIGHT = {
    "good": ("success", "success", "success", "success"),
    "flaky": ("success", "success", "success", "success"),
    "new": ("success", "success", "success", "success"),
    "breaking": ("success", "success", "pending", "success"),
    "conflicting": ("success", "success", "fail", "success"),
    "old": ("success", "success", "-", "success"),
}


@pytest.mark.slow
async def test_the_demo_ends_with_every_verdict_right() -> None:
    ended = await netci("--log", "warning", "demo", "--once", "--seed", "5", "--listen", free_listen(), patience=240)
    assert ended.code == 0, ended.out[-3000:] + ended.err[-3000:]
    assert "every verdict is as it should be" in ended.out
    assert _rows(ended.out) == RIGHT


def _rows(out: str) -> dict[str, tuple[str, ...]]:
    """The states of each role in the table at the end, in the order of its columns."""
    found = {}
    for line in out.splitlines():
        words = line.split()
        at = next((i for i, word in enumerate(words) if word in RIGHT and words[i - 1] in ("v1", "v2")), 0)
        if at:
            found[words[at]] = tuple(words[at + 1 : at + 5])
    return found


# Judged without a netci: Patchwork as it would be after the play, then spoilt


class Ending:
    """Patchwork as it is at the end of a play that went well."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.site = Served(standard())
        self.judge = Judge(world, self.site)
        for series in world.series:
            for mail in series.mails:
                self.site.submit(mail)

    def post(self, role: Role, context: str, state: str, text: str = "") -> None:
        for message_id in self.patches(self.world.by_role(role)):
            self.post_on(message_id, context, state, text)

    def post_on(self, message_id: str, context: str, state: str, text: str = "") -> None:
        pw = self.site.pw
        patch = pw.patch_of(f"<{message_id}>", "netdevbpf")
        body = {"context": context, "state": state, "description": text, "target_url": "http://127.0.0.1/"}
        changes.post_check(pw, patch, pw.user("nipa-bot"), body, form=False)
        self.site.counters.check_posts[patch.id, context, state] += 1

    @staticmethod
    def patches(series: PracticeSeries) -> tuple[str, ...]:
        return series.message_ids[1:] if series.cover else series.message_ids

    def rival_named(self) -> str:
        return f"conflicts with {self.world.by_role(Role.GOOD).title!r}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("world")
    return write(folder, 3)


def ending(world: World, *, conflict: str | None = None, good: str = "success") -> Ending:
    """Everything as it should be, but for what is asked for otherwise."""
    end = Ending(world)
    for series in world.series:
        end.post(series.role, "tree_selection", "success")
        end.post(series.role, "apply", "success")
        for context in CHECKS:
            end.post(series.role, context, "success")
    end.judge.v2_came()
    for role in (Role.GOOD, Role.FLAKY, Role.NEW, Role.BREAKING):
        end.post(role, "contest", "pending", "tests: 5, failing: 1")
    end.post(Role.CONFLICTING, "contest", "fail", end.rival_named() if conflict is None else conflict)
    end.post(Role.GOOD, "contest", good)
    end.post(Role.FLAKY, "contest", "success")
    end.post(Role.NEW, "contest", "success")
    return end


def test_a_right_ending_has_no_fault(world: World) -> None:
    assert ending(world).judge.after_second_cut() == []


def test_the_first_cut_is_judged_by_itself(world: World) -> None:
    faults = ending(world).judge.after_first_cut()
    assert len(faults) == 3
    assert all("not pending" in fault for fault in faults)


def test_a_check_posted_twice_is_named(world: World) -> None:
    end = ending(world)
    end.post_on(end.patches(world.by_role(Role.FLAKY))[0], "contest", "success")
    assert [fault for fault in end.judge.after_second_cut() if fault.endswith("contest success was posted 2 times")]


@pytest.mark.parametrize("context", ["contest", "apply"])
def test_a_check_on_v1_after_v2_came_is_named(world: World, context: str) -> None:
    end = ending(world)
    end.post(Role.OLD, context, "success")
    assert f"v1 got {context} after v2 came" in end.judge.after_second_cut()


def test_a_wrong_verdict_is_named(world: World) -> None:
    assert "good: contest is not success" in ending(world, good="fail").judge.after_second_cut()


def test_a_check_of_ours_that_says_otherwise_is_named(world: World) -> None:
    end = ending(world)
    end.post_on(end.patches(world.by_role(Role.GOOD))[0], "verify_fixes", "fail")
    assert [fault for fault in end.judge.after_second_cut() if fault.startswith("good: verify_fixes is")]


def test_a_breaking_series_that_got_away_is_named(world: World) -> None:
    end = ending(world)
    end.post(Role.BREAKING, "contest", "success")
    assert "breaking: contest is {'success'}, not pending" in end.judge.after_second_cut()


def test_a_verdict_on_one_patch_of_two_is_no_verdict(world: World) -> None:
    end = ending(world)
    end.post_on(end.patches(world.by_role(Role.GOOD))[0], "contest", "fail")
    assert "good: contest is not success" in end.judge.after_second_cut()


def test_a_conflict_that_names_nobody_is_named(world: World) -> None:
    faults = ending(world, conflict="does not apply").judge.after_second_cut()
    assert len(faults) == 1
    assert "does not name" in faults[0]


def test_the_table_shows_what_is_on_patchwork(world: World) -> None:
    end = ending(world)
    shown = table(world, end.site)
    assert _rows(shown) == RIGHT
    assert f"{sum(end.site.counters.check_posts.values())} checks posted" in shown
