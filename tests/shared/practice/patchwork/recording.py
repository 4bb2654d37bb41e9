"""The recorded server put together again: the same users, the same mails in the same order, the same requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from shared.practice.patchwork import Patchwork, Served
from shared.practice.patchwork.asking import Answer, Ask
from shared.practice.patchwork.changes import set_state

GOLDEN = Path(__file__).parents[3] / "golden" / "patchwork"
HOST = "127.0.0.1:8000"
START = datetime(2026, 11, 23, 8, 44, 56)  # noqa: DTZ001 - Patchwork writes dates without zone
USERS = {
    "nipa-bot": "nipa@ci.example.org",
    "maintainer": "maint@kernel.example.org",
    "wl-bot": "wl@ci.example.org",
    "outsider": "out@example.org",
    "admin": "admin@example.org",
    "submitter": "submitter@example.org",
}
BEFORE: Mapping[str, tuple[str, ...]] = {
    "001": ("01", "02", "07a"),
    "004": ("07b",),
    "006": ("08",),
    "009": ("09",),
    "010": ("16",),
    "012": ("17",),
    "013": (
        *("03", "04", "05", "06", "10", "11", "12", "13", "14", "15", "18", "19", "20a", "20b", "21", "22"),
        *("23a", "23b", "23c", "24", "25", "27", "28", "29", "30"),
    ),
    "247": ("90",),
}
"""The mailboxes that arrived before an exchange was recorded."""

SINCE = {"121": datetime(2026, 11, 23, 8, 45, 5, 740224)}  # noqa: DTZ001 - Patchwork writes dates without zone
"""The one event whose date later requests name: that of a check, which is a microsecond after the check's own here."""


@dataclass(frozen=True)
class Exchange:
    name: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]

    @property
    def number(self) -> str:
        return self.name[:3]


def exchanges() -> list[Exchange]:
    """All numbered ones, in the order in which they were made."""
    files = sorted((GOLDEN / "recorded").glob("[0-9]*.json"))
    documents = [(path.stem, json.loads(path.read_text())) for path in files]
    return [Exchange(name, document["request"], document["response"]) for name, document in documents]


class Clock:
    """Stands at the time of the recording that is being repeated."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def set(self, moment: datetime) -> None:
        self.now = max(self.now, moment)


class Recorded:
    """The practice server in the state that the recorded one had before a given exchange."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pw = Patchwork(self.clock)
        for name, address in USERS.items():
            self.pw.add_user(name, address)
        ours = ("nipa-bot", "maintainer", "admin")
        self.pw.add_project("netdevbpf", name="Netdev + BPF", list_id="netdev.vger.kernel.org", maintainers=ours)
        self.pw.add_project(
            "linux-wireless", name="Linux Wireless", maintainers=("wl-bot", "admin"), show_dependencies=False
        )
        self.pw.add_person("Sub Mitter", "submitter@example.org", "submitter")
        self.site = Served(self.pw)
        self.done: set[str] = set()

    def before(self, exchange: Exchange) -> None:
        """Bring in what came between the last exchange and this one, and set the clock for what it writes."""
        for mark, boxes in BEFORE.items():
            if self._first_time(mark, exchange):
                for box in boxes:
                    self.feed(box)
        for mark, act in self.acts().items():
            if self._first_time(f"{mark} act", exchange):
                act()
        if exchange.request["method"] not in ("GET", "HEAD"):
            self.clock.set(parsedate_to_datetime(exchange.response["headers"]["date"]).replace(tzinfo=None))
            self.clock.set(SINCE.get(exchange.number, START))

    def _first_time(self, mark: str, exchange: Exchange) -> bool:
        if mark[:3] > exchange.number or mark in self.done:
            return False
        self.done.add(mark)
        return True

    def acts(self) -> Mapping[str, Callable[[], object]]:
        """What an admin did in the browser while it was recorded."""
        return {
            "026": lambda: set_state(self.pw, 5, "under-review"),
            "285": self.one_event_more,
            "305": lambda: self.pw.delete_series(9),
        }

    def one_event_more(self) -> None:
        self.ask("POST", "/api/1.4/patches/2/checks/", {"state": "success", "context": "drift"}, user="nipa-bot")

    def feed(self, box: str) -> None:
        (path,) = (GOLDEN / "mbox").glob(f"{box}-*.mbox")
        self.clock.now += timedelta(milliseconds=10)
        self.site.submit(path.read_bytes())

    def ask(self, method: str, target: str, body: object = None, *, user: str = "") -> Answer:
        headers = {"content-type": "application/json"}
        if user:
            headers["authorization"] = f"Token {self.pw.user(user).token}"
        return self.site.answer(Ask(method, target, headers, json.dumps(body).encode(), HOST))


def asked(pw: Patchwork, exchange: Exchange) -> Ask:
    """The recorded request once more. Parameters that were given apart are found in the Link of the answer."""
    request = exchange.request
    headers = {name.lower(): value for name, value in request.get("headers", {}).items()}
    content, kind = _content(request)
    if kind:
        headers.setdefault("content-type", kind)
    headers |= _credentials(pw, exchange)
    url = urlsplit(request["url"])
    target = url.path + (f"?{url.query}" if url.query else "").replace(" ", "%20")
    return Ask(request["method"], target + _apart(exchange), headers, content, HOST)


def _credentials(pw: Patchwork, exchange: Exchange) -> dict[str, str]:
    auth = exchange.request.get("auth") or ""
    if auth.startswith("token of "):
        return {"authorization": f"Token {pw.user(auth.removeprefix('token of ')).token}"}
    if auth.startswith("token "):
        return {"authorization": f"Token {auth.removeprefix('token ')}"}
    if exchange.name.endswith("-bearer"):
        return {"authorization": f"Bearer {pw.user('nipa-bot').token}"}
    if exchange.name.endswith("-basic"):
        secret = f"nipa-bot:{pw.user('nipa-bot').password}".encode()
        return {"authorization": "Basic " + base64.b64encode(secret).decode()}
    return {}


def _content(request: Mapping[str, Any]) -> tuple[bytes, str]:
    kind = request.get("body_kind")
    body: Any = request.get("body")
    if kind == "json":
        return (b"{}" if body is None else json.dumps(body).encode()), "application/json"
    if kind == "form":
        return urlencode(body, doseq=True).encode(), "application/x-www-form-urlencoded"
    if kind == "multipart":
        return _multipart(body), "multipart/form-data; boundary=b"
    return str(body or "").encode(), ""


def _multipart(fields: Mapping[str, Any]) -> bytes:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v[1]}\r\n' for n, v in fields.items()]
    return ("".join(parts) + "--b--\r\n").encode()


APART = {
    "276-events-since-z": {"since": "2026-11-23T08:45:05.740225Z"},
    "277-events-since-offset": {"since": "2026-11-23T08:45:05.740225+00:00"},
    "278-events-since-offset-east": {"since": "2026-11-23T08:45:05.740225+02:00"},
}
"""Recorded without their parameters, and answered without a Link that would tell: what `index.md` says of them."""


def _apart(exchange: Exchange) -> str:
    if exchange.name in APART:
        return "?" + urlencode(APART[exchange.name])
    if urlsplit(exchange.request["url"]).query:
        return ""
    link = exchange.response.get("headers", {}).get("link", "")
    query = urlsplit(link.partition(">")[0]).query
    kept = [pair for pair in query.split("&") if pair and not pair.startswith("page=")]
    return "?" + "&".join(kept) if kept else ""
