"""What happens, as it happens: the event stream in words."""

import json
import time
from typing import Any, Never

from shared.errors import Transient
from shared.http import Http


class Narrator:
    """Follows netci's public events by cursor and prints a line for each that a person cares for."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._start = time.monotonic()
        self.counts: dict[str, int] = {}

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._start:6.1f}s  {text}", flush=True)

    async def follow(self) -> Never:
        """For ever. The same long-poll that a lab behind a firewall uses."""
        after = "0"
        while True:
            try:
                answer = await self._http.request("GET", "/api/v1/events", params={"after": after, "wait": "10"})
            except Transient:
                continue
            page = json.loads(answer.body)
            after = page["next"]
            for event in page["events"]:
                self._heard(event)

    def _heard(self, event: dict[str, Any]) -> None:
        kind = event["type"].removeprefix("dev.netci.").rpartition(".")[0]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        data = event["data"]
        if words := (_OF_SERIES if kind.startswith("run.") and data.get("series") else _WORDS).get(kind):
            of_patch = f", patch {data['patch']}" if data.get("patch") else ""
            self.say(words.format_map(_Loose(data, of_patch=of_patch)))


class _Loose(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


_WORDS = {
    "series.arrived": "arrived    {title!r} v{version}, {patches} patches, by {author}",
    "series.changed": "changed    series {series} is {state}: {reason}",
    "series.applied": "applied    series {series} to {tree} ({head:.12})",
    "series.refused": "refused    series {series}: {reason}",
    "branch.cut": "cut        {branch}: {taken} series, {left_out} left out ({commit:.12})",
    "run.started": "run        {remote}/{executor} tests {branch}",
    "run.done": "run ended  {remote}/{executor} on {branch}: {counts}",
    "verdict.changed": "verdict    series {series}{of_patch}: {context} is {state}",
}
_OF_SERIES = {"run.done": "checked    series {series}: {executor} is {state}"}
