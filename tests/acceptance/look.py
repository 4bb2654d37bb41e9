"""What came of it: checks read back from Patchwork over its REST API, pages rendered in Chromium, the event stream."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from playwright.sync_api import Page, sync_playwright

from tests.acceptance.composed import NAMES
from tests.acceptance.series import Made, Wanted
from tests.support.programs import program

FRONT = f"http://{NAMES['proxy']}:8000"
# Root has no sandbox; and an address without TLS that is not localhost is told off in the console.
_CHROMIUM = ["--no-sandbox", "--disable-gpu", f"--unsafely-treat-insecure-origin-as-secure={FRONT}"]


@dataclass(frozen=True)
class Checks:
    """All checks that Patchwork has, by Message-Id of the patch, oldest first."""

    by_patch: Mapping[str, Sequence[dict[str, str]]]

    def newest(self, message_id: str, context: str) -> dict[str, str]:
        found = [check for check in self.by_patch.get(message_id, []) if check["context"] == context]
        return found[-1] if found else {"state": "", "description": ""}

    def faults(self, series: Sequence[Made], wanted: Mapping[str, Wanted]) -> list[str]:
        """Every place where a patch's newest check is not what its role deserves."""
        return [
            f"{made.role.name}: {context} is {state or 'not there'}, should be {should} ({said['description']})"
            for made in series
            for message_id in made.ids
            for context, should in wanted[made.role.name].items()
            for said in [self.newest(message_id, context)]
            for state in [said["state"]]
            if state != should
        ]

    def repeated(self) -> list[str]:
        """(patch, context, state) that were posted more than once."""
        seen = Counter((patch, c["context"], c["state"]) for patch, checks in self.by_patch.items() for c in checks)
        return [
            f"{patch} {context} {state}: {times} times" for (patch, context, state), times in seen.items() if times > 1
        ]


def read_checks() -> Checks:
    """As anybody can: the list of patches, then each one's checks."""
    base = f"http://{NAMES['patchwork']}/api/1.3"
    patches = _json(f"{base}/patches/?project=netdevbpf&per_page=100&order=id")
    return Checks({patch["msgid"].strip("<>"): _checks(f"{base}/patches/{patch['id']}") for patch in patches})


def _checks(patch: str) -> list[dict[str, str]]:
    return sorted(_json(f"{patch}/checks/?per_page=100"), key=lambda check: check["id"])


def _json(url: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        found = json.loads(answer.read())
    assert isinstance(found, list), found
    return found


@dataclass
class Heard:
    """The event stream, listened to through the proxy by a thread of its own."""

    sequences: list[int] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    late: float = 0.0
    fault: str = ""

    def listen(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            conn = http.client.HTTPConnection(NAMES["proxy"], 8000, timeout=60)
            conn.request("GET", "/api/v1/events/stream?after=0", headers={"Accept": "text/event-stream"})
            answer = conn.getresponse()
            assert answer.status == 200, answer.status
            while line := answer.fp.readline():
                if line.startswith(b"data:") and line.strip() != b"data:":
                    self._hear(json.loads(line[5:]))
        except Exception as exc:
            self.fault = repr(exc)

    def _hear(self, event: dict[str, str]) -> None:
        if "sequence" not in event:
            return
        self.sequences.append(int(event["sequence"]))
        self.kinds[event["type"]] += 1
        self.late = max(self.late, time.time() - _seconds(event["time"])) if len(self.sequences) > 5 else 0.0

    def faults(self) -> list[str]:
        said = [self.fault] if self.fault else []
        if self.sequences != sorted(set(self.sequences)):
            said.append("the stream was out of order or repeated itself")
        wanted = (
            "series.arrived",
            "series.applied",
            "series.refused",
            "branch.cut",
            "run.started",
            "run.done",
            "verdict.changed",
        )
        return said + [f"no {kind} on the stream" for kind in wanted if not self.kinds[f"dev.netci.{kind}.v1"]]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def pages(series: Sequence[Made], branches: Sequence[str], folder: str) -> list[str]:
    """Render the pages through the proxy; every fault with its page. Pictures are kept in `folder`."""
    good = next(made for made in series if made.role.name == "good")
    rival = next(made for made in series if made.role.name == "rival")
    visits = [
        ("status", "/", [branches[-1], "selftests"]),
        ("contest", "/contest", ["reuseaddr-conflict", "reuseport-bpf", "udpgso-sh", "fail"]),
        ("branch", f"/branch/{branches[0]}", [good.title, rival.title]),
        ("series", f"/series/{good.ids[0]}", [good.title, "contest"]),
        ("events", "/events", ["branch.cut"]),
    ]
    faults: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program("chromium"), args=_CHROMIUM)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.on("console", lambda said: faults.append(f"{page.url}: {said.text}") if said.type == "error" else None)
        for name, path, words in visits:
            answer = page.goto(FRONT + path, wait_until="domcontentloaded", timeout=30_000)
            page.screenshot(path=f"{folder}/{name}.png", full_page=True)
            text = page.inner_text("body")
            if answer is None or answer.status != 200:
                faults.append(f"{path}: status {answer.status if answer else 'none'}")
            faults += [f"{path} does not show {word!r}" for word in words if word not in text]
        faults += _run_page(page, folder)
        browser.close()
    return faults


def labs_door() -> list[str]:
    """What a lab without a token hears through the proxy: ingest's own no, and nothing of a proxy that reaches none."""
    try:
        with urllib.request.urlopen(f"{FRONT}/api/v1/lab", timeout=10) as answer:
            status = answer.status
    except urllib.error.HTTPError as exc:
        status = exc.code
    return [] if status == 401 else [f"/api/v1/lab without a token: {status}, should be 401"]


def _run_page(page: Page, folder: str) -> list[str]:
    """From the contest table by its links to a run, and from there to a log."""
    page.goto(FRONT + "/contest", wait_until="domcontentloaded")
    runs = [str(link.get_attribute("href")) for link in page.locator("a[href*='/run/']").all()]
    if not runs:
        return ["/contest links to no run"]
    page.goto(FRONT + runs[0], wait_until="domcontentloaded")
    page.screenshot(path=f"{folder}/run.png", full_page=True)
    if "reuse" not in page.inner_text("body"):
        return [f"{runs[0]} shows no test"]
    logs = [str(link.get_attribute("href")) for link in page.locator("a[href*='/log/']").all()]
    if not logs:
        return [f"{runs[0]} links to no log"]
    answer = page.request.get(FRONT + logs[0])
    return [] if answer.status == 200 and answer.text().strip() else [f"{logs[0]}: status {answer.status}, or empty"]
