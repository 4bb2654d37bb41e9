"""What a page's query string asks for, read strictly: a filter that is misspelt is told, not ignored. Pure.

The result table keeps NIPA's names (``contest.html?branch&remote&executor&test&pass=0&ld-cases=1``), as people have
them in bookmarks and mails; `ld_cnt` and `ld-cases` may be written with either sign. `pw-n=0` leaves out the remotes
that do not count for verdicts, `pw-y=0` those that do. Branches and runs that an import brought have ids below zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from shared.errors import Refused

MOST_BRANCHES = 500
DEFAULT_BRANCHES = 125
BOXES: dict[str, tuple[str, ...]] = {
    "pass": ("pass", "xfail"),
    "skip": ("skip", "not-run"),
    "warn": ("warn", "xpass"),
    "fail": ("fail", "error"),
}
"""The four boxes of the table, and the results that each stands for."""

_OFF = ("0", "n", "no", "false", "off")
_ON = ("1", "y", "yes", "true", "on", "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the table begins: after this test of this run."""

    run: int
    group: int
    test: int
    subtest: int

    def __str__(self) -> str:
        return f"{self.run}.{self.group}.{self.test}.{self.subtest}"


@dataclass(frozen=True, slots=True)
class Contest:
    """The filters of the result table. Empty means all."""

    branch: str = ""
    stream: str = ""
    remote: str = ""
    executor: str = ""
    group: str = ""
    test: str = ""
    hidden: frozenset[str] = frozenset()
    subtests: bool = False
    retried: bool = False
    branches: int = DEFAULT_BRANCHES
    after: Place | None = None
    counted: bool | None = None
    """Only remotes that count for verdicts, or only those that do not."""

    @property
    def results(self) -> list[str]:
        return [result for box, results in BOXES.items() if box not in self.hidden for result in results]

    @property
    def query(self) -> str:
        """The same as a query string, without what is default."""
        names = ("branch", "stream", "remote", "executor", "group", "test")
        pairs = [(name, getattr(self, name)) for name in names if getattr(self, name)]
        pairs += [(box, "0") for box in BOXES if box in self.hidden]
        pairs += [("ld-cases", "1")] if self.subtests else []
        pairs += [("retried", "1")] if self.retried else []
        pairs += [("ld_cnt", str(self.branches))] if self.branches != DEFAULT_BRANCHES else []
        pairs += [("pw-n" if self.counted else "pw-y", "0")] if self.counted is not None else []
        pairs += [("after", str(self.after))] if self.after else []
        return urlencode(pairs)

    def following(self, place: Place) -> "Contest":
        return replace(self, after=place)


def parse_contest(query: Mapping[str, str]) -> Contest:
    """Raises Refused."""
    given = {name.replace("-", "_"): value.strip() for name, value in query.items()}
    texts = {name: given.get(name, "")[:512] for name in ("branch", "stream", "remote", "executor", "group", "test")}
    texts["branch"] = texts["branch"] or given.get("ld_branch", "")[:512]
    shown = {box: flag(given, box, True) for box in BOXES}
    if given.get("boxes"):
        # A form sends only the boxes that are ticked; this field tells it from a link without any.
        shown = {box: box in given and flag(given, box, True) for box in BOXES}
    return Contest(
        **texts,
        hidden=frozenset(box for box, on in shown.items() if not on),
        subtests=flag(given, "ld_cases", False),
        retried=flag(given, "retried", False),
        branches=number(given, "ld_cnt", DEFAULT_BRANCHES, MOST_BRANCHES),
        counted=counted_by(flag(given, "pw_y", True), flag(given, "pw_n", True)),
        after=_place(given.get("after", "")),
    )


def counted_by(reported: bool, others: bool) -> bool | None:
    """NIPA's two boxes. With both off it shows an empty table, which nobody wants."""
    return None if reported == others else reported


def flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    if name not in query:
        return default
    if (value := query[name].lower()) in _OFF:
        return False
    if value in _ON:
        return True
    raise Refused(f"{name}: 0 or 1")


def number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise Refused(f"{name}: a number from 1 to {most}")
    return min(int(text), most)


def _is_id(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 18


def before(query: Mapping[str, str]) -> int | None:
    """The key that a list goes on below; None from the newest."""
    text = query.get("before", "")
    if not text:
        return None
    return key(text)


def key(text: str) -> int:
    """An id. Raises Refused where it is none."""
    if not _is_id(text):
        raise Refused(f"not a number: {text[:40]!r}")
    return int(text)


def _place(text: str) -> Place | None:
    if not text:
        return None
    parts = text.split(".")
    if len(parts) != 4 or not all(map(_is_id, parts)) or any(p.startswith("-") for p in parts[1:]):
        raise Refused("after: as given by `next` of the page before")
    run, group, test, subtest = (int(p) for p in parts)
    if max(group, test, subtest) >= 1 << 31:
        raise Refused("after: as given by `next` of the page before")
    return Place(run, group, test, subtest)
