"""What it takes to run a test again as it ran: kept beside what each test said, and read by `netci repro`. Pure.

It names the commit and where to fetch it, how the suite was configured, on what kind of machine and kernel, and what
the result was. What an operator's configuration may hold of secrets and of paths of its own machine is not in it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from shared.errors import Refused

NAME = "recipe.json"
"""Of the file, beside a test's other files."""
FORM = 1

_SECRET = re.compile(r"token|secret|passw|credential|(?:^|_)key$", re.IGNORECASE)
_WITHHELD = "(withheld)"


@dataclass(frozen=True, slots=True)
class Recipe:
    """`suite` is an executor's table of that name; `driver` what its machines are like. `command` is what was run
    there, `seconds` how long it could have taken, `facts` what the machine said of itself.
    """

    group: str
    test: str
    result: str
    branch: str
    commit: str
    base: str
    git: str
    executor: str
    suite: Mapping[str, Any]
    driver: Mapping[str, Any]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)
    form: int = FORM


def dump(recipe: Recipe) -> bytes:
    """For people too, who may want to do it by hand."""
    return json.dumps(asdict(recipe), indent=1, ensure_ascii=False, default=str).encode() + b"\n"


def load(data: bytes, where: str) -> Recipe:
    """Raises Refused for what is none."""
    try:
        said = json.loads(data)
        if not isinstance(said, dict) or said.get("form") != FORM:
            raise Refused(f"{where}: no recipe of the form {FORM}")
        known = {name: said[name] for name in Recipe.__dataclass_fields__ if name in said}
        recipe = Recipe(**{**known, "command": tuple(known.get("command", ()))})
    except (ValueError, TypeError, KeyError) as exc:
        raise Refused(f"{where}: no recipe: {exc}") from None
    texts = (recipe.group, recipe.test, recipe.result, recipe.branch, recipe.commit, recipe.base, recipe.git)
    if not all(isinstance(one, str) for one in texts) or not re.fullmatch(r"[0-9a-f]{40,64}", recipe.commit):
        raise Refused(f"{where}: no recipe: it names no commit")
    if not isinstance(recipe.suite, dict) or not isinstance(recipe.driver, dict):
        raise Refused(f"{where}: no recipe: it names no suite")
    return recipe


def public(table: Mapping[str, Any]) -> dict[str, Any]:
    """A suite's table without what is nobody's business, and what another machine has not."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key == "expects_file":
            continue
        if isinstance(value, Mapping):
            found[key] = public(value)
        elif _SECRET.search(key) and isinstance(value, str):
            found[key] = _WITHHELD
        else:
            found[key] = value
    return found
