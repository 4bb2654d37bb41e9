"""Names that a subsystem no longer wants to see more of."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from services.executor.checks.base import CheckConfig, Desk, Finding, Needs, OurCheck, Said, Subject, success
from services.executor.lint.code import code_of
from shared.formats.diff_lines import Changed, changed_lines
from shared.model.results import CheckState


class DeprecatedApiConfig(CheckConfig):
    """Names as they begin, with a bracket where a call is meant: ``dev_put(``. More of `errors` than before fail,
    as many warn; more of `warnings` warn. `warnings_below` are names that are unwanted only below a path.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    warnings_below: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class _Name:
    text: str
    error: bool = False
    below: str = ""

    def lines(self, lines: Iterable[Changed]) -> list[Changed]:
        word = re.compile(rf"(?<!\w){re.escape(self.text)}", re.IGNORECASE)
        return [one for one in lines if one.path.startswith(self.below) and word.search(code_of(one.text))]

    def state(self, old: int, new: int) -> CheckState:
        if new > old:
            return CheckState.FAIL if self.error else CheckState.WARNING
        return CheckState.WARNING if self.error and new == old else CheckState.SUCCESS


class DeprecatedApi(OurCheck):
    """The worst of all names wins."""

    name: ClassVar[str] = "deprecated_api"
    help: ClassVar[str] = "no new uses of deprecated names"
    needs: ClassVar[Needs] = Needs.MAIL
    Config: ClassVar[type[CheckConfig]] = DeprecatedApiConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        lines = [
            one
            for patch in subject.looked_at
            for one in changed_lines(patch.mail.diff)
            if one.path.endswith((".c", ".h", ".S", ".rs"))
        ]
        state, texts, findings = CheckState.SUCCESS, [], []
        for name in self._names():
            found = name.lines(lines)
            added = [one for one in found if one.added]
            if not added:
                continue
            old = len(found) - len(added)
            state = max(state, name.state(old, len(added)), key=lambda one: one.rank)
            texts.append(f"'{name.text}' was: {old} now: {len(added)}")
            findings += _findings(name.text, added)
        if not texts:
            return success("None detected")
        return Said(state, "Found: " + "; ".join(texts), findings=tuple(findings), repeat="git show HEAD")

    def _names(self) -> Iterator[_Name]:
        assert isinstance(self.config, DeprecatedApiConfig)
        yield from (_Name(text) for text in self.config.warnings)
        for below, texts in self.config.warnings_below.items():
            yield from (_Name(text, below=below) for text in texts)
        yield from (_Name(text, error=True) for text in self.config.errors)


def _findings(name: str, added: Sequence[Changed]) -> list[Finding]:
    return [Finding(f"{name} is deprecated", one.path, one.number, context=((one.number, one.text),)) for one in added]
