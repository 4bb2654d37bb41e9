"""What must be on Patchwork after each branch, read from Patchwork itself."""

from collections import Counter

from shared.errors import Missing
from shared.practice.config import CHECKS
from shared.practice.patchwork import Served
from shared.practice.world_series import PracticeSeries, Role, World

RED = (Role.GOOD, Role.FLAKY, Role.BREAKING, Role.NEW)
"""On the first branch, all of them together."""

MENDED = (Role.GOOD, Role.FLAKY, Role.NEW)
"""On the second branch, the breaking one being held."""


def patches_of(site: Served, series: PracticeSeries) -> list[int]:
    """The ids of its patches; none before all of them have come."""
    ids = series.message_ids[1:] if series.cover else series.message_ids
    try:
        return [site.patchwork.patch_of(f"<{m}>", "netdevbpf").id for m in ids]
    except Missing:
        return []


def states_of(site: Served, series: PracticeSeries, context: str) -> set[str]:
    """The newest state in `context` on each patch of the series; "" for a patch without one."""
    found = set()
    for patch in patches_of(site, series):
        states = [str(c.state) for c in site.patchwork.checks_of(patch) if c.context == context]
        found.add(states[-1] if states else "")
    return found


class Judge:
    """Compares checks with what each role deserves."""

    def __init__(self, world: World, patchwork: Served) -> None:
        self._world = world
        self._site = patchwork
        self._old_before: Counter[tuple[int, str, str]] | None = None

    # What was posted

    def state(self, series: PracticeSeries, context: str) -> set[str]:
        return states_of(self._site, series, context)

    def text(self, series: PracticeSeries, context: str) -> str:
        for patch in patches_of(self._site, series):
            for check in reversed(self._site.patchwork.checks_of(patch)):
                if check.context == context:
                    return str(check.description)
        return ""

    def _role(self, role: Role) -> PracticeSeries:
        return self._world.by_role(role)

    # Waiting

    def old_settled(self) -> bool:
        """All that v1 gets, it has; what comes from here on comes too late."""
        return self._settled(self._role(Role.OLD))

    def all_settled_on_trees(self) -> bool:
        return all(self._settled(s) for s in self._world.series if s.role is not Role.OLD)

    def _settled(self, series: PracticeSeries) -> bool:
        """It is on its tree, and our own checks have said of every patch what they say."""
        applied = all(self.state(series, context) == {"success"} for context in ("apply", "tree_selection"))
        return applied and not any({"", "pending"} & self.state(series, context) for context in CHECKS)

    def first_cut_reported(self) -> bool:
        red = all(self.state(self._role(r), "contest") == {"pending"} for r in RED)
        return red and self.state(self._role(Role.CONFLICTING), "contest") == {"fail"}

    def second_cut_reported(self) -> bool:
        return all(self.state(self._role(r), "contest") == {"success"} for r in MENDED)

    # Judging

    def v2_came(self) -> None:
        """From here on the old version must get nothing more."""
        self._old_before = self._posts_on_old()

    def _posts_on_old(self) -> Counter[tuple[int, str, str]]:
        old = set(patches_of(self._site, self._role(Role.OLD)))
        posts = self._site.counters.check_posts
        return Counter({key: n for key, n in posts.items() if key[0] in old})

    def after_first_cut(self) -> list[str]:
        faults = [
            f"{r}: contest is {self.state(self._role(r), 'contest')}, not pending"
            for r in RED
            if self.state(self._role(r), "contest") != {"pending"}
        ]
        return faults + self._conflict()

    def after_second_cut(self) -> list[str]:
        faults = [f"{r}: contest is not success" for r in MENDED if self.state(self._role(r), "contest") != {"success"}]
        if self.state(self._role(Role.BREAKING), "contest") != {"pending"}:
            faults.append(f"breaking: contest is {self.state(self._role(Role.BREAKING), 'contest')}, not pending")
        return faults + self._conflict() + self._checks() + self._old() + self._repeats()

    def _checks(self) -> list[str]:
        """Every patch of every series is sound: what breaks here, no check of a single patch can see."""
        return [
            f"{series.role}: {context} is {self.state(series, context)}, not success"
            for series in self._world.series
            for context in CHECKS
            if self.state(series, context) != {"success"}
        ]

    def _conflict(self) -> list[str]:
        loser, rival = self._role(Role.CONFLICTING), self._role(Role.GOOD)
        if self.state(loser, "contest") != {"fail"}:
            return [f"conflicting: contest is {self.state(loser, 'contest')}, not fail"]
        text = self.text(loser, "contest")
        named = rival.title in text or rival.message_ids[0] in text
        return [] if named else [f"conflicting: the check does not name {rival.title!r}: {text!r}"]

    def _old(self) -> list[str]:
        more = self._posts_on_old() - (self._old_before or Counter())
        return [f"v1 got {key[1]} after v2 came" for key in more]

    def _repeats(self) -> list[str]:
        posts = self._site.counters.check_posts
        return [f"patch {p}: {c} {s} was posted {n} times" for (p, c, s), n in posts.items() if n > 1]


def table(world: World, patchwork: Served) -> str:
    """Series, verdicts and posted checks, for the end."""
    judge = Judge(world, patchwork)
    rows: list[tuple[str, ...]] = [("series", "role", "tree_selection", "apply", "contest", "checks", "text")]
    for series in world.series:
        states = [_one(judge.state(series, c)) for c in ("tree_selection", "apply", "contest")]
        checks = _one(set().union(*(judge.state(series, context) for context in CHECKS)))
        title = f"{series.title[:38]} v{series.version}"
        rows.append((title, series.role, *states, checks, judge.text(series, "contest")[:70]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    posts = patchwork.counters.check_posts
    lines.append(f"\n{sum(posts.values())} checks posted, {len(posts)} different (patch, context, state)")
    return "\n".join(lines)


def _one(states: set[str]) -> str:
    return "/".join(sorted(s or "-" for s in states)) or "-"
