"""`netci remote check`: a lab tried against the contract, before anything of it counts. Nothing is left behind.

What it posts is posted with a sandbox token: stored, shown to nobody but this lab, never counted, never on Patchwork.
With any other token it stops before it posts.
"""

import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.executor.remote.branch import Branch, moment, of_event
from services.executor.remote.config import LabSettings
from services.executor.remote.post import RUNS, What, meaning
from services.executor.remote.sse import Parser
from services.executor.runs import Bench
from services.executor.trees import Trees
from shared.clock import Clock, wall
from shared.doctor import Finding
from shared.errors import NetciError, Transient
from shared.http import Answer, Http, client
from shared.model.tokens import Right, Token, parse_scopes

SKEW = timedelta(seconds=60)
BRANCH = "sandbox"
SANDBOX = "netci token create NAME --remote REMOTE --scope 'results:write:*' --sandbox"


class Wrong(Exception):
    """A check that failed; `mend` says what to do."""

    def __init__(self, detail: str, mend: str) -> None:
        super().__init__(detail)
        self.mend = mend


async def check(settings: LabSettings, clock: Clock = wall) -> list[Finding]:
    """All findings. Never raises for what it finds."""
    timeout = settings.timeout.total_seconds()
    async with client("server", settings.server, timeout=timeout, trust=settings.trust()) as http:
        trying = _Trying(settings, http, clock)
        found = [finding async for finding in trying.contract()]
    found += [finding for bench in settings.benches() for finding in await _hosts(bench)]
    return found


async def _hosts(bench: Bench) -> list[Finding]:
    return [
        await _look(f"host {host} of {bench.name}", lambda host=host: bench.driver.reach(host))  # type: ignore[misc]
        for host in bench.driver.hosts
    ]


async def _look(what: str, act: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(True, what, await act())
    except Wrong as exc:
        return Finding(False, what, str(exc), exc.mend)
    except (NetciError, OSError) as exc:
        return Finding(False, what, str(exc), "see the text")


@dataclass
class _Trying:
    settings: LabSettings
    http: Http
    clock: Clock
    whoami: dict[str, Any] = field(default_factory=dict)
    newest: Branch | None = None
    run: str = ""

    async def contract(self) -> AsyncIterator[Finding]:
        """What is of no use after a failure is left out."""
        for what, act in self._first():
            yield (finding := await _look(what, act))
            if not finding.ok and what in ("server", "token"):
                return
        sandbox = await _look("sandbox", self._sandbox)
        yield sandbox
        if sandbox.ok:
            for what, act in self._posting():
                yield (finding := await _look(what, act))
                if not self.run:
                    return

    def _first(self) -> Sequence[tuple[str, Callable[[], Awaitable[str]]]]:
        return (
            ("server", self._server), ("token", self._token), ("clock", self._clock), ("scopes", self._scopes),
            (f"branches ({self.settings.follow})", self._follow), ("fetch", self._fetch),
        )  # fmt: skip

    def _posting(self) -> Sequence[tuple[str, Callable[[], Awaitable[str]]]]:
        return (
            ("run opened", self._open), ("cases", self._cases), ("the same cases again", self._again),
            ("a wrong case", self._rejection), ("artifact", self._artifact), ("run finished", self._finish),
        )  # fmt: skip

    # Reaching it

    async def _ask(self, method: str, path: str, body: Any = None, key: str = "", **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self.settings.token()}"}
        if body is not None:
            options["content"] = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        headers |= options.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **options)

    async def _server(self) -> str:
        try:
            answer = await self.http.request("GET", "/branches.json")
        except Transient as exc:
            mend = "is the address right, and its certificate? does a firewall let us out to its port?"
            raise Wrong(str(exc), mend) from None
        if answer.status != 200:
            raise Wrong(f"/branches.json answered {answer.status}", "is this address that of a netci?")
        secure = "TLS, its certificate believed" if self.settings.server.startswith("https:") else "on this machine"
        return f"{self.settings.server} answers ({secure})"

    async def _token(self) -> str:
        answer = await self._ask("GET", "/api/v1/lab")
        if answer.status != 200:
            why = meaning("check", answer.status, answer.headers, answer.body, self.clock()).why
            raise Wrong(why, f"make one: {SANDBOX}")
        self.whoami = json.loads(answer.body)
        return f"{self.whoami['token']} of {self.whoami['remote']}, until {self.whoami['expires'] or 'revoked'}"

    async def _clock(self) -> str:
        skew = moment(self.whoami["now"]) - self.clock()
        if abs(skew) > SKEW:
            raise Wrong(f"{skew.total_seconds():+.0f} s from the server's", "let this machine's clock follow NTP")
        return f"{abs(skew).total_seconds():.1f} s from the server's"

    async def _scopes(self) -> str:
        token = Token("", "", "", parse_scopes(self.whoami["scopes"]))
        without = [e.name for e in self.settings.executors if not token.may(Right.RESULTS, e.name)]
        if without:
            raise Wrong(f"the token may not write results of {', '.join(without)}", "make one whose scope names them")
        return ", ".join(self.whoami["scopes"])

    # Hearing of branches

    async def _follow(self) -> str:
        events = [event async for event in self._events()]
        wanted = {stream for e in self.settings.executors for stream in e.streams}
        known = [b for b in map(of_event, events) if b is not None and b.stream in wanted]
        self.newest = max(known, key=lambda b: b.announced, default=None)
        if self.settings.follow == "sse":
            await self._stream()
        return f"heard of {len(known)} branches" + (f", the newest {self.newest.name}" if self.newest else "")

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        """Every branch that the log still has."""
        after = "0"
        while True:
            query = {"type": "branch.cut", "after": after, "limit": "500"}
            answer = await self.http.request("GET", "/api/v1/events", params=query)
            if answer.status != 200:
                raise Wrong(f"/api/v1/events answered {answer.status}", "is this address that of a netci?")
            page = json.loads(answer.body)
            for event in page["events"]:
                yield event
            if len(page["events"]) < 500:
                return
            after = page["next"]

    async def _stream(self) -> None:
        """The first words of the stream, which come at once unless something between us holds them back."""
        parser = Parser()
        mend = 'a proxy between us holds streams back: follow = "poll" does without'
        try:
            async for chunk in self.http.chunks("/api/v1/events/stream", silence=15):
                parser.feed(chunk)
                if parser.last_id:
                    return
        except Transient as exc:
            raise Wrong(f"the stream: {exc}", mend) from None
        raise Wrong("the stream ended at once", mend)

    async def _fetch(self) -> str:
        if self.newest is None:
            return "no branch of our streams yet: nothing to fetch"
        url = self.settings.git or self.newest.url
        with tempfile.TemporaryDirectory(prefix="netci-check-") as folder:
            try:
                await Trees(Path(folder), "lab").fetch(self.newest.commit, url)
            except NetciError as exc:
                raise Wrong(
                    str(exc), "can this machine reach that address? `git` in the configuration names another"
                ) from None
        return f"commit {self.newest.commit[:12]} from {url}"

    # Posting

    async def _sandbox(self) -> str:
        if not self.whoami["sandbox"]:
            raise Wrong(
                "this token's results count: nothing is posted with it", f"try with one that is for trying: {SANDBOX}"
            )
        return "what is posted with this token is shown to nobody else and counts for nothing"

    async def _must(self, answer: Answer) -> dict[str, Any]:
        said = meaning("check", answer.status, answer.headers, answer.body, self.clock())
        if said.what is not What.TAKEN:
            raise Wrong(f"the server answered {said.why}", "is the server's version that of this program?")
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def _open(self) -> str:
        name = f"{BRANCH}-{secrets.token_hex(6)}"
        body = {"branch": name, "executor": self.settings.executors[0].name, "planned": 1}
        first = await self._must(await self._ask("POST", RUNS, body, key=name))
        again = await self._must(await self._ask("POST", RUNS, body, key=name))
        if first["run"] != again["run"]:
            raise Wrong("the same opening again made another run", "tell the server's owner")
        self.run = str(first["run"])
        return f"run {self.run}, and once only"

    @property
    def _batch(self) -> dict[str, Any]:
        case = {
            "group": "netci-check",
            "test": "contract",
            "result": "pass",
            "cases": [{"test": "sub", "result": "skip"}],
        }
        return {"cases": [case]}

    async def _cases(self) -> str:
        said = await self._must(await self._ask("POST", f"{RUNS}/{self.run}/cases", self._batch))
        return f"{said['taken']} taken"

    async def _again(self) -> str:
        said = await self._must(await self._ask("POST", f"{RUNS}/{self.run}/cases", self._batch))
        if said["taken"]:
            raise Wrong(f"{said['taken']} taken a second time", "tell the server's owner")
        return "known, none taken twice"

    async def _rejection(self) -> str:
        body = {"cases": [{"group": "netci-check", "test": "wrong", "result": "splendid"}]}
        answer = await self._ask("POST", f"{RUNS}/{self.run}/cases", body)
        said = meaning("cases", answer.status, answer.headers, answer.body, self.clock())
        if said.what is not What.REJECTED or "/cases/0/result" not in said.why:
            raise Wrong(f"answered {said.why}", "is there a proxy that makes answers of its own?")
        return "refused, and the answer points at the fault: /cases/0/result"

    async def _artifact(self) -> str:
        answer = await self._ask(
            "PUT", f"{RUNS}/{self.run}/artifacts/check.txt", content=b"netci remote check\n",
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        return f"{(await self._must(answer))['size']} bytes"

    async def _finish(self) -> str:
        at = f"{RUNS}/{self.run}"
        await self._must(await self._ask("POST", f"{at}/finish", {}))
        await self._must(await self._ask("POST", f"{at}/finish", {}))
        state = await self._must(await self._ask("GET", at))
        if (state["state"], state["cases"]) != ("done", 2):
            raise Wrong(f"the run is {state['state']} with {state['cases']} cases", "tell the server's owner")
        return "done, with both cases"


def plain(finding: Finding) -> dict[str, Any]:
    """For programs."""
    return asdict(finding)


def lines(findings: Sequence[Finding]) -> list[str]:
    """A table for a terminal."""
    width = max((len(f.what) for f in findings), default=0)
    table = []
    for one in findings:
        table.append(f"{'ok  ' if one.ok else 'FAIL'}  {one.what:<{width}}  {one.detail}".rstrip())
        if not one.ok:
            table.append(f"      {'':<{width}}  -> {one.mend}")
    bad = sum(not f.ok for f in findings)
    return [*table, f"{bad} of {len(findings)} want mending" if bad else "this lab keeps the contract"]
