"""What ingest needs from the outside, looked at once: each Patchwork, its version, the project, and the token; and
the manifests of remotes.
"""

from collections.abc import AsyncIterator

from services.ingest import remotes as manifests
from services.ingest.sources.patchwork import PatchworkSource, reading
from shared.doctor import Finding
from shared.errors import NetciError, Refused, Transient
from shared.patchwork import token_of
from shared.settings import Patchwork, Settings


async def examine(settings: Settings) -> list[Finding]:
    """One finding for each Patchwork, one more for its token where this process was given it, one for each manifest."""
    found = [
        finding
        for name, project in settings.projects.items()
        if project.patchwork is not None
        async for finding in _patchwork(settings, name, project.patchwork)
    ]
    return found + [await manifests.examine(settings, remote) for remote in settings.remotes if remote.manifest]


async def _patchwork(settings: Settings, name: str, table: Patchwork) -> AsyncIterator[Finding]:
    what = f"projects.{name}.patchwork"
    async with reading(table, settings.public_url) as http:
        try:
            facts = await PatchworkSource(name, table, http).open()
        except Refused as exc:
            yield Finding(False, what, str(exc), f"correct {what}.url or {what}.project")
            return
        except NetciError as exc:
            yield Finding(False, what, str(exc), f"open {table.url} from this machine; is there a proxy between?")
            return
        yield Finding(True, what, f"API {facts['api']}, project {facts['project_name']} ({facts['list']})")
    if table.token_env or table.token_file:
        yield await _token(settings, what, table, str(facts["api"]))


async def _token(settings: Settings, what: str, table: Patchwork, version: str) -> Finding:
    """A harmless read with the token: Patchwork refuses a wrong one even where none is needed."""
    key = "token_env" if table.token_env else "token_file"
    try:
        token = token_of(table)
    except Refused as exc:
        return Finding(False, f"{what}.{key}", str(exc), "only report posts; another room may do without the token")
    async with reading(table, settings.public_url, token) as http:
        try:
            answer = await http.request("GET", f"/api/{version}/projects/{table.project}/")
        except Transient as exc:
            return Finding(False, f"{what}.{key}", str(exc), "try again")
    if answer.status == 403:
        mend = "make a new token on the user's page at Patchwork; that ends the old one"
        return Finding(False, f"{what}.{key}", f"refused: {answer.text()[:100]}", mend)
    return Finding(answer.status == 200, f"{what}.{key}", f"accepted ({answer.status})", "look at Patchwork's log")
