"""In which contexts a run on a series may speak, and what its cases come to where it says no check itself. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from services.ingest.api.place import Place
from shared.formats.faults import Fault, Faulty
from shared.formats.run_model import Check
from shared.model.results import CheckState
from shared.model.tokens import Right, Token
from shared.settings import OWN_CONTEXTS, Settings
from shared.web.auth import Forbidden

_UNSAID = (
    "say in which context: by `context` where a run is begun, by `checks` in a whole run; the token does not name "
    "exactly one"
)
_FORM = re.compile(r"[A-Za-z0-9_-]{1,255}")


def exact(token: Token) -> tuple[str, ...]:
    """The contexts that the token names without a wildcard."""
    return tuple(s.glob for s in token.scopes if s.right is Right.CHECKS and not set(s.glob) & set("*?"))


def default(token: Token, said: str | None) -> str:
    """The one context of a run that names none itself. Raises Forbidden, Faulty."""
    if not any(s.right is Right.CHECKS for s in token.scopes):
        raise Forbidden(f"token {token.id} lacks a scope {Right.CHECKS}:<context>, which a run on a series needs")
    named = exact(token)
    if said is None and len(named) != 1:
        raise Faulty(Fault("/context", _UNSAID), status=422)
    return said or named[0]


def check_contexts(token: Token, contexts: Sequence[tuple[str, str]], place: Place, settings: Settings) -> None:
    """Raises Forbidden or Faulty unless the token may speak in all `contexts`, each given with where it stands."""
    faults = tuple(_faults(contexts, place, settings))
    if faults:
        raise Faulty(*faults, status=422)
    for _, context in contexts:
        if not token.may(Right.CHECKS, context):
            raise Forbidden(
                f"token {token.id} may not speak in the context {context}: it lacks {Right.CHECKS}:{context}"
            )


def _faults(contexts: Sequence[tuple[str, str]], place: Place, settings: Settings) -> Iterator[Fault]:
    project = settings.projects.get(place.project)
    ours = project.our_contexts if project else OWN_CONTEXTS
    for pointer, context in contexts:
        if not _FORM.fullmatch(context):
            yield Fault(pointer, "should be letters, digits, _ and -, at most 255")
        elif context in ours:
            yield Fault(pointer, f"{context} is ours; a lab's check has a context of its own")


def of_checks(checks: Sequence[Check], place: Place) -> list[tuple[str, str]]:
    """The contexts of a document's checks, each with its place. Raises Faulty for patches that are none."""
    faults = [
        Fault(f"/checks/{i}/patch", f"the series has {place.patches} patches")
        for i, check in enumerate(checks)
        if check.get("patch", 0) > place.patches
    ]
    if faults:
        raise Faulty(*faults, status=422)
    return [(f"/checks/{i}/context", check["context"]) for i, check in enumerate(checks)]


def fold(counts: Mapping[str, int]) -> tuple[CheckState, str]:
    """State and words for the tests of a run, counted by the results of their last attempts."""
    tests = sum(n for word, n in counts.items() if word != "flaky")
    failing = counts.get("fail", 0) + counts.get("error", 0)
    passed = tests - failing - sum(counts.get(word, 0) for word in ("skip", "warn", "not-run"))
    words = f"tests: {tests}" + "".join(
        f", {name}: {n}" for name, n in (("failing", failing), ("skipped", counts.get("skip", 0))) if n
    )
    if failing:
        return CheckState.FAIL, words
    if counts.get("warn") or not passed:
        return CheckState.WARNING, words
    return CheckState.SUCCESS, words
