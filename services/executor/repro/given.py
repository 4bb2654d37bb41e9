"""Where a recipe comes from: an address of a result, or a file."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from services.executor import recipe
from services.executor.recipe import Recipe
from services.executor.suites.attempt import KERNEL
from shared.errors import Missing, Refused, Transient
from shared.http import Http

_LOG = re.compile(r"(?P<run>.*/run/\d+)/log/(?P<test>.+/\d+)/[^/]+")
_RUN = re.compile(r".*/run/\d+")


@dataclass(frozen=True)
class Given:
    """A recipe, and the configuration that its kernel was built with; b"" if it was not built."""

    recipe: Recipe
    config: bytes


async def read(where: str, test: str) -> Given:
    """`where` is a file, or an address of a netci: a test's log, or its run with `test` as ``GROUP/TEST`` or ``TEST``.

    Raises Refused for what is neither, Missing for a result without a recipe, Transient if the server does not answer.
    """
    if re.match(r"https?://", where):
        return await _served(where, test)
    path = Path(where)
    try:
        found = recipe.load(path.read_bytes(), where)
    except OSError as exc:
        raise Refused(f"{where}: {exc.strerror}: give a recipe.json, or the address of a result") from None
    config = path.parents[2] / KERNEL / "0" / "config" if len(path.resolve().parents) > 2 else path
    return Given(found, config.read_bytes() if config != path and config.is_file() else b"")


async def _served(address: str, test: str) -> Given:
    url = urlsplit(address)
    path, base = url.path, f"{url.scheme}://{url.netloc}"
    async with Http("netci", base, timeout=60, headers={"User-Agent": "netci repro"}) as http:
        if match := _LOG.fullmatch(path):
            run, folder = match["run"], match["test"]
        elif match := _RUN.match(path):
            run = match[0]
            folder = await _folder(http, run, test or unquote(url.fragment))
        else:
            raise Refused(f"{address}: not the address of a result: …/run/N, or …/run/N/log/GROUP/TEST/0/stdout")
        found = recipe.load(await _get(http, f"{run}/log/{folder}/{recipe.NAME}?raw=1"), address)
        try:
            group = folder.split("/")[0]
            config = await _get(http, f"{run}/log/{group}/{KERNEL}/0/config?raw=1")
        except Missing:
            config = b""
        return Given(found, config)


async def _folder(http: Http, run: str, test: str) -> str:
    """The folder of a test's log in a run that is named without one: of its last attempt."""
    if not test:
        raise Refused("say which test of the run: --test GROUP/TEST, or give the address of its log")
    number = run.rpartition("/")[2]
    prefix = run[: -len(f"/run/{number}")]
    group, _, name = test.rpartition("/")
    said = _rows(await _get(http, f"{prefix}/api/v1/runs/{number}"))
    logs = [log for grp, tst, log in said if tst == name and group in ("", grp) and log]
    if not logs:
        raise Missing(f"run {number} has no log of a test {test}")
    return logs[-1].rpartition("/")[0]


def _rows(data: bytes) -> list[tuple[str, str, str]]:
    """(group, test, log) of every attempt, from what the API says of a run."""
    try:
        said = json.loads(data)
        return [
            (str(test["group"]), str(test["test"]), str(one.get("log") or ""))
            for test in said["tests"] for one in test["attempts"]
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError) as exc:
        raise Transient(f"what the server says of the run is not understood: {exc}") from None


async def _get(http: Http, path: str) -> bytes:
    answer = await http.request("GET", path)
    if answer.status == 404:
        raise Missing(f"{path.partition('?')[0]}: there is no such thing there (logs are kept for a while only)")
    if answer.status != 200:
        raise Transient(f"{path.partition('?')[0]}: the server answers {answer.status}")
    return answer.body
