"""YNL: generated code is what its specifications give, its tools build, and what changes in generated user code.

The patched tree's own generator is asked, not the base's: a series that changes the generator brings what it generates
with it, and the tools look for everything below the tree that they stand in. So a series could have its generator say
what it likes; where it changes it, that stands in the answer's line.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from services.executor.cage.base import Ran
from services.executor.checks.base import (
    CheckConfig,
    Desk,
    Finding,
    Level,
    Needs,
    OurCheck,
    Said,
    Subject,
    fail,
    success,
)
from shared.errors import InfraError
from shared.model.ids import Sha

_REGEN = "tools/net/ynl/ynl-regen.sh"
_TOOLS = "tools/net/ynl/"
_NO_TOOLS = tuple(f"{_TOOLS}{name}/" for name in ("generated", "lib", "samples", "tests"))
"""What of the tools' folder generates nothing."""
_PLACES = ("Documentation/netlink/*", "tools/net/ynl/*", "include/uapi/*")
_MARK = b"YNL-GEN"
_BAD = re.compile(r"warn|error", re.IGNORECASE)
_NO_MODULE = re.compile(rb"No module named '(?:yaml|jsonschema)'")
_DIRTY, _BROKEN = 100, 101

_REGENERATE = f"./{_REGEN} -f || exit {_BROKEN}; git --no-pager diff --exit-code || exit {_DIRTY}"
_BUILD = 'make -C tools/net/ynl distclean >/dev/null 2>&1; exec make -C tools/net/ynl -j"$(nproc)"'
_GENERATE = f"""
generate() {{
    make -C tools/net/ynl/generated distclean >/dev/null 2>&1
    make -C tools/net/ynl/generated -j"$(nproc)" >/dev/null 2>&1
    mkdir "$1" && cp tools/net/ynl/generated/*.[ch] "$1"
}}
generate /tmp/new-code
git checkout -q -f "$1" && generate /tmp/old-code
cd /tmp && git --no-pager diff --no-index --stat old-code new-code >/results/diff-stat
git --no-pager diff --no-index --exit-code old-code new-code >/results/diff || exit {_DIRTY}
"""


class YnlConfig(CheckConfig):
    """`places`: globs; a series that touches none of them, and no file that YNL generated, is not looked at."""

    places: tuple[str, ...] = _PLACES


@dataclass(frozen=True, slots=True)
class _Step:
    text: str
    bad: bool
    ran: Ran
    findings: tuple[Finding, ...] = ()


class Ynl(OurCheck):
    """What changes in generated code is told, not judged."""

    name: ClassVar[str] = "ynl"
    help: ClassVar[str] = "code that YNL generates is up to date and builds"
    uses: ClassVar[tuple[str, ...]] = ("python3", "make", "gcc", "git")
    level: ClassVar[Level] = Level.SERIES
    needs: ClassVar[Needs] = Needs.BUILD
    limit: ClassVar[timedelta] = timedelta(minutes=30)
    Config: ClassVar[type[CheckConfig]] = YnlConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert isinstance(self.config, YnlConfig)
        if not subject.touches(self.config.places) and not await _generated(subject, desk):
            return success("No YNL files touched, skip")
        if await desk.read(subject.head, _REGEN) is None:
            return success("No YNL in this tree, skip")
        steps: list[_Step] = []
        own = own_generator(subject)
        async for step in _steps(desk, subject.base, bool(own)):
            steps.append(step)
            desk.describe("; ".join(one.text for one in steps))
        say = fail if any(one.bad for one in steps) else success
        return say(
            "; ".join(one.text for one in steps), findings=tuple(f for one in steps for f in one.findings),
            log="".join(f"== {one.text}\n{one.ran.merged.decode('utf-8', 'replace')}\n" for one in steps),
            files=dict(desk.took), notes=own, repeat=f"./{_REGEN} -f; git diff --stat; make -C tools/net/ynl",
        )  # fmt: skip


def own_generator(subject: Subject) -> tuple[str, ...]:
    """The note that a series judged itself, if it changes what generates."""
    changed = [path for path in subject.paths if path.startswith(_TOOLS) and not path.startswith(_NO_TOOLS)]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return (f"judged by the series' own generator: it changes {', '.join(changed[:3])}{more}",) if changed else ()


async def _generated(subject: Subject, desk: Desk) -> bool:
    """Whether the series touches a file that YNL wrote, or would write."""
    for path in subject.paths:
        if path.endswith((".c", ".h")) and _MARK in (await desk.read(subject.head, path) or b"")[:2000]:
            return True
    return False


async def _steps(desk: Desk, base: Sha, own: bool) -> AsyncIterator[_Step]:
    step = regenerated(await _ran(desk, _REGENERATE))
    yield replace(step, text=f"{step.text} by the series' own generator") if own and not step.bad else step
    for step in _built(await _ran(desk, _BUILD)):
        yield step
    yield _compared(await _ran(desk, _GENERATE, base, results=True), desk)


async def _ran(desk: Desk, script: str, *args: str, results: bool = False) -> Ran:
    return await desk.run("sh", "-c", script, "sh", *args, git=True, results=results)


def regenerated(ran: Ran) -> _Step:
    """Raises InfraError if the generator lacks what the machine should have."""
    if ran.ok:
        return _Step("Generated files up to date", False, ran)
    if ran.ended == "exit" and ran.code == _DIRTY:
        files = re.findall(r"^\+\+\+ b/(.*)$", ran.stdout.decode("utf-8", "replace"), re.MULTILINE)
        return _Step(
            "Tree is dirty after regen", True, ran, tuple(Finding("not what YNL generates", one) for one in files)
        )
    if _NO_MODULE.search(ran.stderr):
        what = "Python modules of YNL are not there: install python3-yaml and python3-jsonschema"
        raise InfraError(what, lasting=True)
    return _Step(f"regen failed{_why(ran)}", True, ran)


def _built(ran: Ran) -> list[_Step]:
    steps = [] if ran.ok else [_Step(f"build failed{_why(ran)}", True, ran)]
    lines = [line for line in ran.stderr.decode("utf-8", "replace").splitlines() if _BAD.search(line)]
    text = f"build has {len(lines)} warnings/errors" if lines else "no warnings/errors"
    return [*steps, _Step(text, bool(lines), ran, tuple(Finding(line) for line in lines))]


def _compared(ran: Ran, desk: Desk) -> _Step:
    if ran.ok:
        return _Step("no diff in generated", False, ran)
    if ran.ended == "exit" and ran.code == _DIRTY:
        stat = desk.took.get("diff-stat", b"").decode("utf-8", "replace").strip().splitlines()
        return _Step(f"GEN HAS DIFF {stat[-1].strip() if stat else ''}".strip(), False, ran)
    return _Step(f"generated code could not be compared{_why(ran)}", False, ran)


def _why(ran: Ran) -> str:
    return f" ({ran.said})" if ran.said else ""
