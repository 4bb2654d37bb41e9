"""Remotes: when each was last heard of, how its executors stand, and what its owner alone is told.

The public sees that submissions were rejected and how many; which and why, and anything of tokens, is for a token of
that remote or an admin's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from services.report.hide import hide_addresses
from services.report.hooks.store import SQL as HOOKS
from services.report.remotes.facts import SQL as FACTS
from services.report.remotes.facts import Stand, stands
from services.report.remotes.standing import Standing
from services.report.remotes.watch import manifest_stands
from services.report.web.asker import asker, owns
from services.report.web.filters import before, number
from services.report.web.front import Data, Front
from services.report.web.store import TIMEOUT, Row
from shared.errors import Missing
from shared.model.ids import OWN_REMOTE
from shared.model.tokens import Token
from shared.settings import Remote
from shared.web.auth import Forbidden, Unauthorized

DAY = timedelta(days=1)
SOON = timedelta(days=30)
"""From when on a token's end is told beforehand."""
PAGE = 50
RECENT = 500
"""Runs among which executors are looked for that nobody expects."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the tables say of all remotes, by name."""

    configured: Mapping[str, Remote]
    stands: Mapping[str, list[Stand]]
    heard: Mapping[tuple[str, str], Row]
    last: Mapping[tuple[str, str], Row]
    open: Mapping[str, list[Row]]
    rejected: Mapping[str, Row]
    manifests: Mapping[str, Row]

    @property
    def names(self) -> list[str]:
        """Those of the configuration in its order, then who else was heard."""
        others = sorted({name for name, _ in (*self.heard, *self.last)} - self.configured.keys())
        return [*self.configured, *others]

    def executors(self, remote: str) -> list[str]:
        return sorted({e for r, e in (*self.heard, *self.last) if r == remote and e}
                      | {stand.executor for stand in self.stands.get(remote, ())})  # fmt: skip


async def _known(front: Front) -> Known:
    read, settings, now = front.read, front.floor.settings, front.now
    found = await stands(front.floor.pool, settings, now)
    heard = {(r["remote"], r["executor"]): r for r in await read.rows("remotes_heard")}
    seen = {(r["remote"], r["executor"]) for r in await read.rows("executors_seen", RECENT, OWN_REMOTE)}
    pairs = sorted(seen | {k for k in heard if k[1]} | {(s.remote, s.executor) for s in found})
    last = await read.rows("last_runs", [r for r, _ in pairs], [e for _, e in pairs])
    return Known(
        {remote.name: remote for remote in settings.remotes},
        _by_remote(found),
        heard,
        {(r["remote"], r["executor"]): r for r in last},
        _open(await read.rows("remote_open_runs", None, 500), now),
        {r["remote"]: r for r in await read.rows("rejection_counts", now - DAY)},
        {r["remote"]: r for r in await read.floor(FACTS, "manifests")},
    )


def _by_remote(found: Iterable[Stand]) -> Mapping[str, list[Stand]]:
    sorted_out: dict[str, list[Stand]] = defaultdict(list)
    for stand in found:
        sorted_out[stand.remote].append(stand)
    return sorted_out


def _open(rows: Sequence[Row], now: datetime) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        end = row["expected_end"]
        found[row.pop("remote")].append(row | {"late": end is not None and end < now})
    return found


async def remotes(front: Front, request: web.Request) -> Data:
    """All remotes, each in a line."""
    known = await _known(front)
    lines = [_line(known, name, front.now) for name in known.names]
    return {"remotes": lines, "sentence": sentence_of(lines)}


def sentence_of(lines: Sequence[Mapping[str, Any]]) -> str:
    """Which labs are late or not well, in words. Pure."""
    late = [f"{one['name']} ({one['late']} {'run' if one['late'] == 1 else 'runs'})" for one in lines if one["late"]]
    ill = [f"{one['name']} is {one['standing']}" for one in lines if one["standing"] not in ("", str(Standing.WELL))]
    told = [f"Late, as past the expected end: {', '.join(late)}."] if late else ["No lab is late."]
    return " ".join([*told, f"{'; '.join(ill)}." if ill else ""]).strip()


def _line(known: Known, name: str, now: datetime) -> Row:
    """What anybody may know of a remote at a glance."""
    mine, remote = known.stands.get(name, []), known.configured.get(name)
    manifest, runs = known.manifests.get(name), known.open.get(name, [])
    judged = [stand.judged for stand in mine]
    if remote is not None and remote.manifest:
        judged.append(manifest_stands(manifest, now))
    worst = max(judged, key=lambda one: one.standing.rank, default=None)
    rejected = known.rejected.get(name)
    return {
        "name": name,
        "configured": remote is not None,
        "counts": bool(remote and remote.report),
        "polled": bool(remote and remote.manifest),
        "standing": str(worst.standing) if worst else "",
        "text": worst.text if worst else "",
        "seen": _seen(known, name),
        "executors": len(known.executors(name)),
        "open": len(runs),
        "late": sum(run["late"] for run in runs),
        "behind": _behind(mine),
        "lost": any(stand.behind is None and stand.newest for stand in mine),
        "rejected": rejected["lately"] if rejected else 0,
        "trouble": hide_addresses(manifest["trouble"]) if manifest and remote and remote.manifest else "",
    }


def _seen(known: Known, name: str, executor: str | None = None) -> datetime | None:
    """When the remote, or one executor of it, last told us anything."""
    keys = [k for k in (*known.heard, *known.last) if k[0] == name and executor in (None, k[1])]
    times = [known.heard[k]["at"] for k in keys if k in known.heard]
    for run in (known.last[k] for k in keys if k in known.last):
        times += [time for time in (run["started"], run["progressed"], run["ended"]) if time]
    return max(times, default=None)


def _behind(mine: Sequence[Stand]) -> int | None:
    """The worst lag in branches of those that are not lost, which is further back than is looked at."""
    return max((stand.behind for stand in mine if stand.behind is not None), default=None)


async def remote(front: Front, request: web.Request) -> Data:
    """One remote; with `private` for its owner. Raises Missing."""
    name, known = request.match_info["name"], await _known(front)
    if name not in known.names:
        raise Missing(f"no remote {name[:200]}")
    token = await asker(front, request)
    mine = owns(token, name)
    settings = known.configured.get(name)
    return {
        "remote": _line(known, name, front.now),
        "executors": [_executor(known, name, executor) for executor in known.executors(name)],
        "open": known.open.get(name, []),
        "manifest": _manifest(known.manifests.get(name)) if settings and settings.manifest else None,
        "rejected": {k: known.rejected[name][k] for k in ("kept", "lately")} if name in known.rejected else None,
        "webhooks": await _webhooks(front, name),
        "private": await _private(front, request, name) if mine else None,
    }


def _executor(known: Known, name: str, executor: str) -> Row:
    run = known.last.get((name, executor))
    shown = ("id", "branch", "series_id", "state", "cause", "reason", "started", "ended", "counts")
    return {
        "name": executor,
        "seen": _seen(known, name, executor),
        "last": {k: hide_addresses(run[k]) if k == "reason" else run[k] for k in shown} if run else None,
        "streams": [_stream(stand) for stand in known.stands.get(name, ()) if stand.executor == executor],
    }


def _stream(stand: Stand) -> Row:
    """`behind` is None without a branch, and where the last one done is further back than is looked at."""
    return {
        "project": stand.project,
        "stream": stand.stream,
        "standing": str(stand.judged.standing),
        "text": stand.judged.text,
        "behind": stand.behind,
        "newest": stand.newest,
        "well": stand.judged.standing is Standing.WELL,
    }


def _manifest(row: Row | None) -> Row:
    """How the poll of a remote's manifest goes; None is not yet."""
    if row is None:
        return {"polled": None, "entries": 0, "others": 0, "bad": 0, "warnings": 0, "trouble": "", "since": None}
    kept = {k: row[k] for k in ("polled", "entries", "others", "bad", "since")}
    return kept | {"warnings": len(row["warnings"]), "trouble": hide_addresses(row["trouble"])}


async def _webhooks(front: Front, name: str) -> Row | None:
    """What waits for the remote's webhooks; None if it has none."""
    rows = await front.floor.pool.fetch(HOOKS["by_remote"], front.now - DAY, timeout=TIMEOUT)
    kept = ("hooks", "active", "paused", "disabled", "waiting", "failed", "oldest")
    return next(({k: row[k] for k in kept} for row in rows if row["remote"] == name), None)


async def _private(front: Front, request: web.Request, name: str) -> Row:
    """For the owner: what was rejected and why, by key; tokens and when they end; the manifest's odd runs."""
    read, most = front.read, number(request.query, "limit", PAGE, 500)
    rows = await read.rows("rejections", name, before(request.query), most + 1)
    tokens = await read.rows("tokens_of", name, front.now - SOON)
    manifest = await read.floor(FACTS, "manifests")
    return {
        "rejections": rows[:most],
        "next": rows[most - 1]["id"] if len(rows) > most else None,
        "tokens": [token | _ends(token["expires"], front.now) for token in tokens],
        "expires": min((token["expires"] for token in tokens if token["expires"] > front.now), default=None),
        "runs": await read.rows("manifest_troubles", name, PAGE),
        "manifest": next(({k: r[k] for k in ("trouble", "warnings")} for r in manifest if r["remote"] == name), None),
    }


def _ends(expires: datetime, now: datetime) -> Row:
    word = "expired" if expires <= now else "soon" if expires - now < SOON else "good"
    return {"word": word}


async def rejections(front: Front, request: web.Request) -> Data:
    """What of a remote was rejected, newest first, for its owner alone. Raises Forbidden for others."""
    name = request.match_info["name"]
    token = await asker(front, request)
    _only_owner(token, name)
    most = number(request.query, "limit", PAGE, 500)
    rows = await front.read.rows("rejections", name, before(request.query), most + 1)
    return {"rejections": rows[:most], "next": rows[most - 1]["id"] if len(rows) > most else None}


def _only_owner(token: Token | None, name: str) -> None:
    if token is None:
        raise Unauthorized(f"a token of the remote {name[:100]} is needed: Authorization: Bearer netci_…")
    if not owns(token, name):
        raise Forbidden(f"token {token.id} is not of the remote {name[:100]}")
