"""Sinks of `netci check`: a terminal, or documents for programs."""

import base64
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from services.executor.checking.reports import report_of
from services.executor.checking.sink import Task
from services.executor.checks.base import Said, Subject
from services.executor.local.account import Account, account, sentence
from services.executor.local.printed import Look, bad, fold, folds, lines
from shared.formats.check_report import dump
from shared.formats.clean import plain

_CLEAR = "\r\x1b[2K"


class Screen:
    """Lines as answers come; on a terminal a last line says what is being asked, and what is good is
    counted at the end.
    """

    def __init__(self, out: TextIO, total: int, look: Look, live: int = 0) -> None:
        """`live` is the width of the terminal, 0 for what is none."""
        self._out, self._total, self._look, self._live = out, total, look, live
        self._now: dict[Task, str] = {}
        self._answers: list[tuple[Task, Said]] = []
        self._unasked: dict[str, list[str]] = {}
        self._start = time.monotonic()

    async def began(self, task: Task) -> None:
        self._now[task] = ""
        self._show()

    async def described(self, task: Task, text: str) -> None:
        self._now[task] = text
        self._show()

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self._now.pop(task, None)
        self._answers.append((task, said))
        if self._live and not self._look.logs and folds(said):
            self._show()
        else:
            self._say(*lines(task, said, seconds, self._look))

    async def unasked(self, task: Task, why: str) -> None:
        self._unasked.setdefault(why, []).append(str(task))

    def note(self, text: str) -> None:
        """Something worth knowing that is no answer."""
        self._say(*map(plain, text.split("\n")))

    def broken_off(self) -> None:
        """The last line of what nobody waits for."""
        self._now.clear()
        # It may be that the reader has gone with whoever broke it off.
        with contextlib.suppress(OSError):
            self._say(f"broken off, {len(self._answers)} of {self._total} answered")

    def end(self) -> Account:
        """The last line, and what came of it."""
        whole = account(said for _, said in self._answers)
        folded = fold(self._answers, self._look) if self._live and not self._look.logs else []
        left = [f"not asked: {', '.join(tasks)} ({why})" for why, tasks in self._unasked.items()]
        self._say(
            *folded, "", *map(plain, (*left, *bad(self._answers))), sentence(whole, time.monotonic() - self._start)
        )
        return whole

    def _say(self, *some: str) -> None:
        self._out.write(_CLEAR if self._live else "")
        self._out.writelines(f"{line}\n" for line in some)
        self._show()

    def _show(self) -> None:
        if self._live and self._now:
            asked = ", ".join(f"{task}{f' ({text})' if text else ''}" for task, text in list(self._now.items())[:3])
            more = f" and {len(self._now) - 3} more" if len(self._now) > 3 else ""
            line = plain(f"{len(self._answers)}/{self._total}  {asked}{more}")
            self._out.write(f"{_CLEAR}{line[: self._live - 1]}")
        self._out.flush()


class Lines:
    """One JSON object a line, as things happen: for whoever runs checks on another machine."""

    def __init__(self, out: TextIO, subject: Subject) -> None:
        self._out, self._subject = out, subject
        self._answers: list[Said] = []

    async def began(self, task: Task) -> None:
        self._tell("began", task)

    async def described(self, task: Task, text: str) -> None:
        self._tell("described", task, text=text)

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self._answers.append(said)
        self._tell("answered", task, **answer(task, said, self._subject, seconds))

    async def unasked(self, task: Task, why: str) -> None:
        self._tell("unasked", task, why=why)

    def end(self) -> Account:
        whole = account(self._answers)
        self._write({"what": "done", **asdict(whole)})
        return whole

    def _tell(self, what: str, task: Task, **more: Any) -> None:
        self._write({"what": what, "check": task.check, "patch": task.patch, **more})

    def _write(self, facts: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(facts, ensure_ascii=False) + "\n")
        self._out.flush()


class Document:
    """One JSON document at the end."""

    def __init__(self, out: TextIO, subject: Subject) -> None:
        self._out, self._subject = out, subject
        self._answers: list[Said] = []
        self._told: list[Mapping[str, Any]] = []
        self._unasked: list[Mapping[str, Any]] = []

    async def began(self, task: Task) -> None:
        pass

    async def described(self, task: Task, text: str) -> None:
        pass

    async def answered(self, task: Task, said: Said, seconds: float) -> None:
        self._answers.append(said)
        facts = answer(task, said, self._subject, seconds)
        self._told.append({**facts["report"], "log": facts["log"], "files": list(said.files)})

    async def unasked(self, task: Task, why: str) -> None:
        self._unasked.append({"check": task.check, "patch": task.patch, "why": why})

    def end(self) -> Account:
        whole = account(self._answers)
        subject = self._subject
        patches = [{"patch": p.number, "title": p.mail.subject.title, "commit": p.commit} for p in subject.patches]
        document = {
            "title": subject.title, "tree": subject.tree, "kind": subject.kind, "base": subject.base,
            "head": subject.head, "patches": patches, "answers": self._told, "unasked": self._unasked,
            "summary": asdict(whole), "exit": whole.exit_code,
        }  # fmt: skip
        json.dump(document, self._out, indent=1, ensure_ascii=False)
        self._out.write("\n")
        return whole


def answer(task: Task, said: Said, subject: Subject, seconds: float) -> dict[str, Any]:
    """An answer whole: the report, the log, and what a script left, in base64."""
    report = json.loads(dump(report_of(task, said, subject, seconds)))
    files = {name: base64.b64encode(data).decode() for name, data in said.files.items()}
    return {"report": report, "log": said.log, "files": files}
