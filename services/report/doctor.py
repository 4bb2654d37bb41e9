"""What report needs from outside: a Patchwork that answers, and where posting is on a token that it takes."""

from services.report.channels.patchwork.adapter import posting
from services.report.channels.patchwork.wire import API
from services.report.hooks.doctor import sealed
from shared.db.outbox import SQL as FLOOR_SQL
from shared.doctor import Finding
from shared.errors import NetciError, Refused, Transient
from shared.floor import connected
from shared.patchwork import token_of
from shared.settings import Patchwork, Settings


async def examine(settings: Settings) -> list[Finding]:
    """Look at each project's posting, and at dead letters. Never raises for what it finds."""
    found = [
        await _posting(name, project.post, project.patchwork, settings.public_url)
        for name, project in settings.projects.items()
        if project.patchwork is not None and project.post != "off"
    ]
    found.append(_counting(settings))
    return [*found, await _dead(settings), await sealed(settings)]


async def _posting(name: str, post: str, config: Patchwork, public_url: str) -> Finding:
    """Ask for the project with the token: Patchwork answers a bad one with 403 even where anybody may read."""
    what = f"posting to {config.url} for {name} ({post})"
    try:
        token = token_of(config)
    except Refused as exc:
        return Finding(post != "on", what, str(exc), "" if post != "on" else "give the token, or set post to shadow")
    if post == "on" and not token:
        return Finding(False, what, "no token", f"set projects.{name}.patchwork.token_env or token_file")
    try:
        async with posting(config, token, public_url) as http:
            answer = await http.request("GET", f"{API}/projects/{config.project}/")
    except Transient as exc:
        return Finding(False, what, str(exc), "check the address and the network")
    if answer.status == 200 and answer.kind == "application/json":
        words = "the token is taken" if token else "no token, which shadow does not need"
        return Finding(True, what, f"{words}; whether its user may write checks shows at the first post")
    return _refusal(what, config, answer.status, bool(token))


def _refusal(what: str, config: Patchwork, status: int, token: bool) -> Finding:
    if status == 403 and token:
        return Finding(False, what, "403: the token is not taken", "make a new token in your Patchwork profile")
    if status == 404:
        return Finding(False, what, f"404: no project {config.project}", "give the project's link name")
    return Finding(False, what, f"{status} instead of the project", "check that this is the root of a Patchwork")


def _counting(settings: Settings) -> Finding:
    """A stream on which no executor counts never says anything to its series."""
    silent = [
        stream
        for project in settings.projects.values()
        for stream in project.streams
        if not any(settings.reports(e.remote) for e in settings.executors_of(stream))
    ]
    if not silent:
        return Finding(True, "every stream has an executor that counts")
    mend = "set report = true for a remote that runs it, once you trust it"
    return Finding(False, f"streams without a verdict: {', '.join(silent)}", "no remote on it has report = true", mend)


async def _dead(settings: Settings) -> Finding:
    try:
        async with connected(settings) as conn:
            letters = await conn.fetch(FLOOR_SQL["dead_letters"])
    except (NetciError, OSError) as exc:
        return Finding(False, "dead letters", str(exc), "start it, or netci up")
    if not letters:
        return Finding(True, "dead letters", "none")
    return Finding(False, "dead letters", f"{len(letters)} events could not be handled", "netci dead, then --replay")
