"""The cases of a run as columns: what a copy into a database takes, made without an object for each row."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.formats.run_model import Batch, SubCase
from shared.model.results import Case, Cause, Result

_RESULTS = {str(result): result for result in Result}
_CAUSES: dict[str | None, Cause | None] = {None: None} | {str(cause): cause for cause in Cause}


@dataclass(frozen=True, slots=True)
class Columns:
    """Lists of one length, a row across them; a test stands before its subtests."""

    group: list[str]
    test: list[str]
    subtest: list[str]
    attempt: list[int]
    result: list[str]
    cause: list[str | None]
    seconds: list[float | None]
    detail: list[str]
    log: list[str]
    link: list[str]
    crashes: list[list[str]]

    def __len__(self) -> int:
        return len(self.test)


def columns(document: Batch) -> Columns:
    """The rows of the document's cases, in its order. A lab's logs are at their links, so that `log` is empty."""
    rows: list[SubCase] = []
    group, test, subtest, attempt = list[str](), list[str](), list[str](), list[int]()
    link, crashes = list[str](), list[list[str]]()
    none: list[str] = []
    for case in document.cases:
        below = case.get("cases", [])
        more, number = len(below), case.get("attempt", 0)
        rows.append(case)
        rows += below
        group += [case["group"]] * (1 + more)
        test += [case["test"]] * (1 + more)
        subtest.append("")
        subtest += [sub["test"] for sub in below]
        attempt.append(number)
        attempt += [sub.get("attempt", number) for sub in below]
        link += [case.get("link", "")] + [""] * more
        crashes += [case.get("crashes", none)] + [none] * more
    return Columns(
        group, test, subtest, attempt,
        [row["result"] for row in rows],
        [row.get("cause") for row in rows],
        [row.get("seconds") for row in rows],
        [row.get("detail", "") for row in rows],
        [""] * len(rows), link, crashes,
    )  # fmt: skip


def to_cases(columns: Columns) -> Iterator[Case]:
    """The same rows as values."""
    c = columns
    rows = zip(
        c.group, c.test, c.result, c.subtest, c.cause, c.attempt, c.seconds, c.detail, c.log, c.crashes, c.link,
        strict=True,
    )  # fmt: skip
    for group, test, result, subtest, cause, attempt, seconds, detail, log, crashes, link in rows:
        yield Case(
            group, test, _RESULTS[result], subtest, _CAUSES[cause],
            attempt, seconds, detail, log, tuple(crashes), link,
        )  # fmt: skip


def to_columns(cases: list[Case] | tuple[Case, ...]) -> Columns:
    """The columns of cases that another format gave."""
    return Columns(
        [c.group for c in cases], [c.test for c in cases], [c.subtest for c in cases], [c.attempt for c in cases],
        [str(c.result) for c in cases], [str(c.cause) if c.cause else None for c in cases],
        [c.seconds for c in cases], [c.detail for c in cases], [c.log for c in cases], [c.link for c in cases],
        [list(c.crashes) for c in cases],
    )  # fmt: skip
