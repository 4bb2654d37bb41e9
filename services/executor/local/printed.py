"""Answers as lines on a terminal. Pure: what is printed, and in which colours, is decided here.

Every word may come from a patch or a tool that read it, so each line is made plain before it is shown.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.executor.checking.sink import Task
from services.executor.checks.base import Finding, Said, Subject
from shared.formats.clean import plain
from shared.model.results import Cause, CheckState

FINDINGS = 10
"""New findings of one answer that are shown; the rest is counted."""
_LOG_LINES = 12
_COLOURS = {"ok": "32", "warn": "33", "FAIL": "31;1", "wait": "36", "????": "35"}
_LEVELS = {"error": 0, "warning": 1, "check": 2, "style": 2, "info": 3, "note": 3}
_WORDS = {CheckState.SUCCESS: "ok", CheckState.PENDING: "wait", CheckState.WARNING: "warn", CheckState.FAIL: "FAIL"}


@dataclass(frozen=True, slots=True)
class Look:
    """How lines look: `colour` or not, `width` of the column of names, and whether to show whole logs."""

    colour: bool = False
    width: int = 24
    logs: bool = False

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def word(said: Said) -> str:
    """One word for an answer; of what says nothing of the patch, question marks."""
    return "????" if said.cause is Cause.INFRA else _WORDS[said.state]


def lines(task: Task, said: Said, seconds: float, look: Look) -> Iterator[str]:
    """The line of an answer, and under it what an author must see."""
    state = word(said)
    where = f"patch {task.patch}" if task.patch else "series"
    text = plain(said.text.replace("\n", "; "))
    state = look.paint(f"{state:<4}", _COLOURS[state])
    yield f"{state}  {task.check:<{look.width}}  {where:<9}  {text}  {_took(seconds)}".rstrip()
    if folds(said) and not look.logs:
        return
    for note in said.notes:
        yield f"      note: {plain(note)}"
    yield from _findings([one for one in said.findings if one.new], look)
    if look.logs or (said.log and not said.findings):
        yield from _log(said.log, look)
    if said.repeat:
        first, *rest = map(plain, said.repeat.split("\n"))
        yield f"      repeat: {first}"
        yield from (f"              {line}" for line in rest)


def folds(said: Said) -> bool:
    """Whether it is good and no more need be said."""
    return said.state is CheckState.SUCCESS and said.cause is None


def fold(answers: Sequence[tuple[Task, Said]], look: Look) -> list[str]:
    """How many checks were good, a line for each patch."""
    good = Counter(task.patch for task, said in answers if folds(said))
    state = look.paint(f"{'ok':<4}", _COLOURS["ok"])
    return [
        f"{state}  {f'patch {patch}' if patch else 'series':<9}  {number} check{'s' if number != 1 else ''}"
        for patch, number in sorted(good.items())
    ]


def bad(answers: Sequence[tuple[Task, Said]]) -> Iterator[str]:
    """What failed, and of what nothing could be told, by name: answers scroll away."""
    for state, told in (("FAIL", "failed"), ("????", "could not be told")):
        if tasks := [str(task) for task, said in answers if word(said) == state]:
            yield f"{told}: {', '.join(tasks)}"


def looked_at(subject: Subject, on: str) -> Iterator[str]:
    """What is looked at; `on` is a name of its base."""
    number = len(subject.patches)
    yield f"{number} patch{'es' if number != 1 else ''} on {subject.base[:12]}{f' ({on})' if on else ''}"
    for patch in subject.patches:
        yield f"  {patch.number}  {patch.commit[:12]}  {patch.mail.subject.title}"
    yield ""


def _took(seconds: float) -> str:
    return f"({seconds:.1f} s)" if seconds >= 0.05 else ""


def _findings(new: Sequence[Finding], look: Look) -> Iterator[str]:
    for one in sorted(new, key=lambda one: _LEVELS.get(one.level, len(_LEVELS)))[:FINDINGS]:
        first, *rest = [plain(line) for line in one.text.split("\n")]
        yield f"      {look.paint(_where(one), '1')}{plain(one.level)}: {first}"
        yield from (f"      {line}" for line in rest[:6])
        for number, text in one.context:
            mark = ">" if number == one.line else " "
            yield look.paint(f"      {mark}{number:>6} | {plain(blanks(text))}", "1" if number == one.line else "2")
    if len(new) > FINDINGS:
        yield f"      and {len(new) - FINDINGS} more"


def blanks(text: str) -> str:
    """A line of source with tabs, and blanks at its end, as something that can be seen."""
    shown = ""
    for char in text.rstrip(" "):
        shown += f"→{' ' * (7 - len(shown) % 8)}" if char == "\t" else char
    return shown + "·" * (len(text) - len(text.rstrip(" ")))


def _where(one: Finding) -> str:
    line = f":{one.line}" if one.line else ""
    return f"{plain(one.path)}{line}: " if one.path else ""


def _log(log: str, look: Look) -> Iterator[str]:
    kept = log.rstrip("\n").split("\n") if log.strip() else []
    shown = kept if look.logs else kept[-_LOG_LINES:]
    if len(shown) < len(kept):
        yield f"      … {len(kept) - len(shown)} lines before, shown with --verbose"
    yield from (f"      | {plain(line)}" for line in shown)
