"""SQUAD's submission: the form fields ``tests``, ``metrics`` and ``metadata``, each a JSON object.

Answers with the run that they tell of; branch and executor are in the address that they are sent to, and not here.
Files (``log``, ``attachment``) are for whoever takes the request.
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from shared.formats.bounded import read_json
from shared.formats.faults import Fault, Faulty, faulty, pointer
from shared.formats.reported import (
    NO_GROUP,
    Reported,
    Told,
    detail_of,
    link_of,
    name_of,
    time_of,
)
from shared.model.results import Case, Result

_WORDS = {"pass": Result.PASS, "fail": Result.FAIL, "skip": Result.SKIP}
_JOB = 128


def read(tests: bytes = b"", metrics: bytes = b"", metadata: bytes = b"") -> Reported:
    """The run in the three fields, any of which may be empty. Raises Faulty, each place beginning with the field."""
    told = Told()
    for name, said in _object("tests", tests).items():
        _read_test(name, said, told)
    about = _object("metadata", metadata)
    return Reported(
        told.cases, started=time_of(about.get("datetime")), link=link_of(about.get("job_url")), job=_job(about),
        metrics=_metrics(_object("metrics", metrics), told), facts=_facts(about), warnings=told.warnings,
    )  # fmt: skip


def _object(field: str, data: bytes) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        value = read_json(data)
    except Faulty as error:
        raise Faulty(
            *(Fault(pointer((field,)) + fault.pointer, fault.detail) for fault in error.faults),
            status=error.status_hint,
        ) from error
    if not isinstance(value, dict):
        raise faulty("should be an object", field)
    return value


def split(name: str) -> tuple[str, str]:
    """Suite and test of a full name: the last slash parts them, but for those in a variant's brackets."""
    head, bracket, variant = name.partition("[")
    suite, _, test = head.rpartition("/")
    return suite.strip("/"), f"{test}{bracket}{variant}"


def _read_test(name: str, said: Any, told: Told) -> None:
    suite, test = split(name)
    if not (test := name_of(test)):
        told.warn(f"a test has no name: {name[:100]!r}")
        return
    log = ""
    if isinstance(said, dict):
        said, log = said.get("result"), detail_of(said.get("log"))
    result = _WORDS.get(said.lower() if isinstance(said, str) else "")
    if result is None:
        # SQUAD's own rule: what is neither pass nor fail is a skip.
        told.warn(f"{name[:200]}: {str(said)[:100]!r} is taken for a skip")
        result = Result.SKIP
    group = name_of(suite, NO_GROUP)
    told.add(Case(group, told.free_test(group, test), result, detail=log))


def _metrics(values: dict[str, Any], told: Told) -> dict[str, float]:
    found = {}
    for name, value in values.items():
        if isinstance(value, dict):
            value = value.get("value")
        numbers = value if isinstance(value, list) else [value]
        if numbers and all(type(number) in (int, float) for number in numbers):
            found[name_of(name, "unnamed")] = fmean(numbers)
        else:
            told.warn(f"metric {name[:200]!r} is no number and no list of numbers")
    return found


def _job(about: Mapping[str, Any]) -> str:
    """The lab's name of the run, by which a second sending is known."""
    job = about.get("job_id")
    text = str(job) if isinstance(job, str | int) and not isinstance(job, bool) else ""
    if job is not None and (not text or "/" in text or len(text) > _JOB or name_of(text) != text):
        raise faulty(f"should be a name of at most {_JOB} characters, without a slash", "metadata", "job_id")
    return text


def _facts(about: Mapping[str, Any]) -> dict[str, str]:
    """What is said of the run and is text; suites' versions under ``suite/<name>``."""
    suites = about.get("suite_versions")
    told = {f"suite/{name}": value for name, value in suites.items()} if isinstance(suites, dict) else {}
    told |= {key: about[key] for key in ("build_url", "job_status", "resubmit_url") if key in about}
    return {name_of(key): name_of(value) for key, value in told.items() if name_of(key) and name_of(value)}
