"""JUnit XML as a dozen tools write it, read as it streams by.

Liberal: counters may be missing or wrong, suites nested, times spelled with commas, control characters stand where XML
forbids them. Reruns (``rerunFailure``, ``flakyFailure`` and their kin) become attempts. Strict where it is dangerous:
a document type, and with it every entity, is refused before anything of it is read; depth, elements and the size of
one tag are capped. `junit_write` is the way back.
"""

import re
from dataclasses import dataclass, field
from xml.parsers.expat import ExpatError, ParserCreate

from shared.formats.bounded import DEPTH, UNPACKED
from shared.formats.clean import plain
from shared.formats.faults import faulty, too_large
from shared.formats.junit_write import PLAIN
from shared.formats.reported import (
    NO_GROUP,
    Reported,
    Told,
    attempt_of,
    crashes_of,
    detail_of,
    link_of,
    name_of,
    seconds_of,
    time_of,
)
from shared.formats.run_model import ATTEMPTS, DETAIL
from shared.model.results import Case, Cause, Result

ELEMENTS = 1_000_000
_CHUNK = 1 << 16
_TAG = 1 << 20
_OURS = "netci."
_CONTROLS = bytes(set(range(1, 32)) - set(b"\t\n\r"))
_COLOUR = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_REFERENCE = re.compile(rb"&#(?:(x0*1[bB]|0*27)|x0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F])|0*(?:[0-8]|1[124-9]|2[0-9]|3[01]));")
_MAIN = ("error", "failure", "skipped")
_EARLIER = {"flakyFailure": "failure", "flakyError": "error"}
_RESULTS = {str(result): result for result in Result}
_CAUSES = {str(cause): cause for cause in Cause}
_LATER = {"rerunFailure": "failure", "rerunError": "error"}


def read(data: bytes) -> Reported:
    """The cases of a document. Raises Faulty."""
    if len(data) > UNPACKED:
        raise too_large(UNPACKED)
    reader = _Reader()
    _parse(_legal(data), reader)
    if not reader.seen:
        raise faulty("holds no testsuite: not JUnit XML")
    told = reader.told
    return Reported(told.cases, started=reader.started, warnings=told.warnings)


def _legal(data: bytes) -> bytes:
    """Without references to control characters that XML forbids, and without colours; their makers mean no harm."""
    if _wide(data):
        return data
    if b"&#" in data:
        data = _REFERENCE.sub(lambda found: b"\x1b" if found[1] else b"", data)
    if b"\x1b" in data:
        data = _COLOUR.sub(b"", data)
    return data


def _wide(data: bytes) -> bool:
    """Whether it is UTF-16, where a byte is no character."""
    return data[:2] in (b"\xfe\xff", b"\xff\xfe")


def _parse(data: bytes, reader: "_Reader") -> None:
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    dropped, begun = b"" if _wide(data) else _CONTROLS, 0
    try:
        for at in range(0, len(data), _CHUNK):
            # Piece by piece: a copy of the whole body would cost as much memory again.
            piece = data[at : at + _CHUNK].translate(None, dropped)
            parser.Parse(piece, False)
            if begun - parser.CurrentByteIndex > _TAG:
                raise faulty(f"one tag or comment of over {_TAG} bytes")
            begun += len(piece)
        parser.Parse(b"", True)
    except (ExpatError, ValueError, LookupError) as error:
        raise faulty(f"not XML: {error}") from error


def _no_doctype(*_: object) -> None:
    raise faulty("a document type (DTD) is not read, nor any entity")


@dataclass(slots=True)
class _Said:
    """One element that says how a run of the test ended."""

    kind: str
    message: str
    type: str
    text: list[str] = field(default_factory=list)

    @property
    def detail(self) -> str:
        first = next((line for line in "".join(self.text).splitlines() if line.strip()), "")
        return detail_of(self.message) or detail_of(first)


@dataclass(slots=True)
class _Test:
    """One testcase as it stands."""

    name: str
    classname: str
    time: str
    said: list[_Said] = field(default_factory=list)
    ours: dict[str, str] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)


class _Reader:
    """Takes expat's events; `told` and `started` are the outcome."""

    def __init__(self) -> None:
        self.told = Told()
        self.started = time_of(None)
        self.seen = False
        self._depth = self._elements = 0
        self._suites: list[str] = []
        self._test: _Test | None = None
        self._within = 0
        self._kept = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH:
            raise faulty(f"nested deeper than {DEPTH}")
        if self._elements > ELEMENTS:
            raise faulty(f"more than {ELEMENTS} elements")
        get = attributes.get
        match name:
            case "testsuite" | "testsuites":
                self.seen = True
                self._suites.append(get("name", "") if name == "testsuite" else "")
                self.started = self.started or time_of(get("timestamp"))
            case "testcase":
                self._test = _Test(get("name", ""), get("classname", ""), get("time", ""))
            case _ if self._test is not None:
                self._below_test(self._test, name, attributes)

    def _below_test(self, test: _Test, name: str, attributes: dict[str, str]) -> None:
        get = attributes.get
        if name in _MAIN or name in _EARLIER or name in _LATER:
            test.said.append(_Said(name, get("message", ""), get("type", "")))
            self._within, self._kept = self._depth, 0
        elif name == "property" and get("name", "").startswith(_OURS):
            key = get("name", "").removeprefix(_OURS)
            if key == "crash":
                test.crashes.append(get("value", ""))
            test.ours[key] = get("value", "")

    def text(self, text: str) -> None:
        """Keep the beginning of what an outcome says itself; logs below it and beside it are not ours to keep."""
        if self._within == self._depth and self._test is not None and self._kept < 2 * DETAIL:
            self._test.said[-1].text.append(text[: 2 * DETAIL])
            self._kept += len(text)

    def end(self, name: str) -> None:
        if self._within == self._depth:
            self._within = 0
        self._depth -= 1
        if name in ("testsuite", "testsuites"):
            self._suites.pop()
        elif name == "testcase" and self._test is not None:
            self._finish(self._test)
            self._test = None

    def _finish(self, test: _Test) -> None:
        named = next((name for name in reversed(self._suites) if name.strip()), "")
        group = name_of(test.classname) or name_of(named, NO_GROUP)
        name, subtest = name_of(test.name), name_of(test.ours.get("subtest"))
        if not name:
            self.told.warn(f"{group}: a testcase has no name")
            return
        if subtest:
            name = name.removesuffix(f".{subtest}") or name
        runs = _runs(test.said)
        if len(runs) > ATTEMPTS:
            self.told.warn(f"{group}/{name}: {len(runs)} runs, of which {ATTEMPTS} are kept")
            runs = [*runs[: ATTEMPTS - 1], runs[-1]]
        first = min(attempt_of(test.ours.get("attempt")), ATTEMPTS - len(runs))
        name = self.told.free_test(group, name, range(first, first + len(runs)), subtest)
        for number, said in enumerate(runs, first):
            self.told.add(_case(test, Case(group, name, Result.PASS, subtest, attempt=number), said))


def _runs(said: list[_Said]) -> list[_Said | None]:
    """The runs of one test in their order; None is one that passed.

    Flaky failures came before a pass; the first of a rerun's failures is the failure itself.
    """
    main = min((one for one in said if one.kind in _MAIN), key=lambda one: _MAIN.index(one.kind), default=None)
    earlier = [one for one in said if one.kind in _EARLIER]
    later = [one for one in said if one.kind in _LATER]
    return [*earlier, main, *later] if main else [*earlier, *later, None]


def _case(test: _Test, case: Case, said: _Said | None) -> Case:
    kind = "" if said is None else _EARLIER.get(said.kind) or _LATER.get(said.kind) or said.kind
    result = PLAIN[kind]
    if said is not None and result is Result.SKIP and said.type == "pytest.xfail":
        result = Result.XFAIL
    result = _RESULTS.get(test.ours.get("result", ""), result)
    cause = Cause.TEST if result is Result.ERROR else None
    if told := test.ours.get("cause"):
        cause = _CAUSES.get(told)
    whole = said is None or said.kind in _MAIN
    return Case(
        case.group, case.test, result, case.subtest, cause, case.attempt, seconds_of(test.time) if whole else None,
        detail_of(test.ours.get("detail")) if said is None else said.detail,
        plain(test.ours.get("log", ""))[:DETAIL], crashes_of(test.crashes), link_of(test.ours.get("link")),
    )  # fmt: skip
