"""The way in from another process: paths under /practice/ that feed, look at and spoil a practice Patchwork.

POST /practice/mail       one message, or a mailbox: what each mail became
GET  /practice/state      what is there, users with their tokens, counters, faults
POST /practice/misbehave  JSON for `Misbehaviour.add`; {"kind": "down", "seconds": 3} closes the listener for a while
DELETE /practice/misbehave  behave again
POST /practice/release    late mails' events appear
POST /practice/patch      {"patch": 1, "state": "accepted", "by": "maintainer"}: as in the browser
DELETE /practice/series/N   as an admin does
DELETE /practice/counters   count from zero
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from shared.errors import Missing, Refused
from shared.practice.patchwork import changes
from shared.practice.patchwork.asking import Answer, Ask, as_json
from shared.practice.patchwork.counters import Counters
from shared.practice.patchwork.misbehave import Misbehaviour
from shared.practice.patchwork.state import TABLES, Patchwork

FROM = re.compile(rb"^From \S+.*\d{4}\r?\n", re.M)
QUOTED = re.compile(rb"^>(>*From )", re.M)


class Controlled(Protocol):
    pw: Patchwork
    misbehave: Misbehaviour
    counters: Counters

    def close_for(self, seconds: float) -> None: ...


Act = Callable[[Controlled, Ask, "re.Match[str]"], object]


def answer(site: Controlled, ask: Ask) -> Answer:
    """Answer a request under /practice/."""
    for (method, pattern), act in ACTS.items():
        match = re.fullmatch(pattern, ask.path)
        if match and method == ask.method:
            return _tried(act, site, ask, match)
    return as_json({"detail": "no such control"}, 404)


def _tried(act: Act, site: Controlled, ask: Ask, match: re.Match[str]) -> Answer:
    try:
        return as_json(act(site, ask, match))
    except (Refused, Missing, ValueError, TypeError, KeyError) as error:
        return as_json({"detail": str(error)}, 400)


def mails(content: bytes) -> Iterator[bytes]:
    """The messages of a mailbox, or the one message that it is."""
    if not content.startswith(b"From "):
        yield content
        return
    starts = [
        m for m in FROM.finditer(content) if m.start() == 0 or content[: m.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
    ends = [m.start() for m in starts[1:]] + [len(content)]
    for start, end in zip(starts, ends, strict=True):
        mail = QUOTED.sub(rb"\1", content[start.end() : end])
        # The empty line before the next "From " belongs to the mailbox, not to the mail.
        yield mail[:-1] if mail.endswith(b"\n\n") else mail


def submit(pw: Patchwork, content: bytes) -> list[dict[str, object]]:
    """Feed a message or a mailbox; says of each mail what it became. A refused mail does not stop the others."""
    return [_submitted(pw, raw) for raw in mails(content)]


def _submitted(pw: Patchwork, raw: bytes) -> dict[str, object]:
    try:
        made = pw.submit(raw)
    except Refused as refused:
        return {"made": None, "why": str(refused)}
    if made is None:
        return {"made": None, "why": "unknown list, duplicate, nothing in it, or a reply to nothing known"}
    return {"made": type(made).__name__.lower(), "id": made.id, "series": getattr(made, "series", None)}


def _mail(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    return submit(site.pw, ask.content)


def _state(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    tables = {name: len(getattr(site.pw, name)) for name in TABLES}
    return {
        **tables,
        "events": len(site.pw.events),
        "tokens": {user.username: user.token for user in site.pw.users.values()},
        "combined": {str(patch): site.pw.combined(patch) for patch in site.pw.patches},
        "counters": site.counters.as_json(),
        "faults": [f"{fault.kind} {fault.path}".strip() for fault in site.misbehave.faults],
    }


def _misbehave(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    wish: dict[str, Any] = json.loads(ask.content)
    if wish.get("kind") == "down":
        site.close_for(float(wish["seconds"]))
    else:
        site.misbehave.add(**wish)
    return {}


def _behave(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    site.misbehave.clear()
    return {}


def _release(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    return {"released": site.pw.release()}


def _patch(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    wish: dict[str, Any] = json.loads(ask.content)
    changes.set_state(site.pw, int(wish["patch"]), wish["state"], wish.get("by"))
    return {}


def _delete(site: Controlled, ask: Ask, match: re.Match[str]) -> object:
    site.pw.delete_series(int(match[1]))
    return {}


def _reset(site: Controlled, ask: Ask, _: re.Match[str]) -> object:
    site.counters.reset()
    return {}


ACTS: dict[tuple[str, str], Act] = {
    ("POST", "/practice/mail"): _mail,
    ("GET", "/practice/state"): _state,
    ("POST", "/practice/misbehave"): _misbehave,
    ("DELETE", "/practice/misbehave"): _behave,
    ("POST", "/practice/release"): _release,
    ("POST", "/practice/patch"): _patch,
    ("DELETE", r"/practice/series/(\d+)"): _delete,
    ("DELETE", "/practice/counters"): _reset,
}
