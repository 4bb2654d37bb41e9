"""Patchwork's checks as bytes and back, without any I/O: what to send, and what an answer means.

How Patchwork behaves (measured on 2.2.6 and 3.2): a check is made by POST to patches/N/checks/ and answered by 201;
a path without its last slash is redirected and then nothing is made; the same context again makes one check more;
400, 403 and 404 are final and there is no 401; a description has no limit; a target_url has 200 characters. `user`
could be set to anybody, so none is sent.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from services.report.channels.base import Address, Parcel, Receipt
from services.report.compose import check_url, clip, series_url
from services.report.verdicts import Verdict
from shared.settings import OWN_CONTEXTS

if TYPE_CHECKING:
    from shared.http import Answer

API = "/api/1.2"
"""Checks are the same from 1.2 on, so a server of any age in use understands this."""

FINAL = (400, 403, 404, 405, 415)
LONGEST_WAIT = 300.0


def compose(verdict: Verdict, stream: str, addresses: Sequence[Address], public_url: str) -> list[Parcel]:
    """One parcel for every patch that is addressed: Patchwork has no checks on a series."""
    return [
        Parcel(
            verdict.project, stream, verdict.series, a.patch, a.external_patch, verdict.context, str(verdict.state),
            clip(verdict.text), _page(verdict, stream, a, public_url),
        )
        for a in addresses
    ]  # fmt: skip


def _page(verdict: Verdict, stream: str, a: Address, public_url: str) -> str:
    """Where one reads on: what a check found has a page of its own, what we made of the series is on the series'."""
    if stream or verdict.context in OWN_CONTEXTS:
        return series_url(public_url, a.series, a.message_id)
    return check_url(public_url, a.series, a.message_id, verdict.context, verdict.patch)


def checks_path(parcel: Parcel) -> str:
    return f"{API}/patches/{parcel.external_patch}/checks/"


def form(parcel: Parcel) -> dict[str, str]:
    return {
        "state": parcel.state,
        "target_url": parcel.url,
        "context": parcel.context,
        "description": parcel.text,
    }


def newest_of_ours(parcel: Parcel) -> dict[str, str]:
    """The question that settles a doubt. Without our own number, the newest few of anybody are looked through."""
    common = {"context": parcel.context, "order": "-id"}
    if parcel.account is None:
        return common | {"per_page": "10"}
    return common | {"user": str(parcel.account), "per_page": "1"}


def of_anybody(parcel: Parcel) -> dict[str, str]:
    return {"context": parcel.context, "order": "-id", "per_page": "30"}


def read_post(answer: "Answer") -> Receipt:
    """What became of a POST."""
    if answer.status == 201:
        return _made(answer)
    if answer.status in FINAL:
        return Receipt("refused", f"{answer.status}: {_words(answer)}")
    if answer.status == 429:
        return Receipt("again", "429: too many requests", wait=answer.retry_after(LONGEST_WAIT))
    if 300 <= answer.status < 400:
        target = answer.headers.get("location", "")
        return Receipt("again", f"{answer.status}: redirected to {target}; give that address", wait=LONGEST_WAIT)
    # 502 and 504 come from a proxy that gave up on a server which may well have finished; 200 from a page for people.
    return Receipt("doubt", f"{answer.status}: {_words(answer)}", wait=answer.retry_after(LONGEST_WAIT))


def _made(answer: "Answer") -> Receipt:
    check = _json(answer)
    if not isinstance(check, dict) or not isinstance(check.get("id"), int):
        return Receipt("doubt", "201, but not a check")
    return Receipt("posted", "201", number=check["id"], account=_user(check))


def read_lookup(answer: "Answer", parcel: Parcel) -> Receipt | None:
    """The check that `parcel` made after all; None if it is not there. A Receipt of doubt if that cannot be told."""
    checks = _checks(answer)
    if checks is None:
        return Receipt(
            "doubt", f"looking it up: {answer.status}: {_words(answer)}", wait=answer.retry_after(LONGEST_WAIT)
        )
    for check in checks:
        if _same(check, parcel):
            return Receipt("posted", "found after a doubt", number=check["id"], account=_user(check))
    return None


def _same(check: Mapping[str, Any], parcel: Parcel) -> bool:
    said = (check.get("state"), check.get("context"), check.get("target_url") or "", check.get("description") or "")
    newer = parcel.last is None or (isinstance(check.get("id"), int) and check["id"] > parcel.last)
    return newer and said == (parcel.state, parcel.context, parcel.url, parcel.text.strip())


def read_others(answer: "Answer", parcel: Parcel) -> Receipt:
    """What everybody says in that context, the newest of each."""
    checks = _checks(answer)
    if checks is None:
        if answer.status in FINAL:
            return Receipt("refused", f"{answer.status}: {_words(answer)}")
        return Receipt("again", f"{answer.status}: {_words(answer)}", wait=answer.retry_after(LONGEST_WAIT))
    newest: dict[str, str] = {}
    for check in checks:
        user = check.get("user") or {}
        # A semicolon stands between two users' words, and only there: readers of `found` tell them apart by it.
        words = clip(f"{check.get('state')} {check.get('description') or ''}").replace(";", ",")
        newest.setdefault(str(user.get("username", "?")), words)
    return Receipt("shadowed", "compared", found="; ".join(f"{who}: {said}" for who, said in newest.items()))


def _checks(answer: "Answer") -> list[dict[str, Any]] | None:
    found = _json(answer) if answer.status == 200 else None
    return found if isinstance(found, list) and all(isinstance(c, dict) for c in found) else None


def _json(answer: "Answer") -> object:
    # An error may be a page for people whatever was asked for, so the type comes first.
    if answer.kind != "application/json":
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        return None


def _user(check: Mapping[str, Any]) -> int | None:
    user = check.get("user")
    number = user.get("id") if isinstance(user, dict) else None
    return number if isinstance(number, int) else None


def _words(answer: "Answer") -> str:
    return (
        clip(answer.text()[:400], 200) if answer.kind == "application/json" else f"a page of {answer.kind or 'no type'}"
    )
