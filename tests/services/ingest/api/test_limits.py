"""Bodies that are meant to hurt, sent to the real program: each is refused with a problem document, early, and the
process does not grow.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Database
from tests.e2e.programs import free_listen, started
from tests.services.ingest.api.lab import BRANCH, SETTINGS, a_branch, a_document, a_token

MOST = 200 << 20
MEGABYTE = 1 << 20


@dataclass
class Ingest:
    """`netci run ingest` as a process of its own, and a token for it."""

    pid: int
    listen: str
    token: str

    def peak(self) -> int:
        """The most memory that it ever held, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    async def post(self, path: str, body: Iterable[bytes], kind: str, encoding: str, length: int | None) -> Any:
        """Status and problem. Sends on until it is answered, as a stranger would."""
        host, port = self.listen.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        packed = f"Content-Encoding: {encoding}\r\n" if encoding else ""
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: {self.listen}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: {kind}\r\n{packed}{size}\r\nConnection: close\r\n\r\n".encode()
        )
        sending = asyncio.ensure_future(_send(writer, body, chunked=length is None))
        try:
            async with asyncio.timeout(120):
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
                answer = await reader.readexactly(int(fields["Content-Length"]))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()
        assert fields["Content-Type"].startswith("application/"), answer
        return int(head.split()[1]), json.loads(answer)


async def _send(writer: asyncio.StreamWriter, body: Iterable[bytes], chunked: bool, ends: bool = True) -> None:
    for piece in filter(None, body):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
        await asyncio.sleep(0)
    if chunked and ends:
        writer.write(b"0\r\n\r\n")


@pytest.fixture
async def ingest(database: Database, tmp_path: Path) -> AsyncIterator[Ingest]:
    owner = await database.pool()
    await a_branch(owner)
    listen = free_listen()
    config = tmp_path / "netci.toml"
    config.write_text(
        SETTINGS.replace(
            'data = "/nonexistent"',
            f'data = "{tmp_path / "data"}"\n[database]\nurl = "{database.dsn}"\n[ingest]\nlisten = "{listen}"',
        )
    )
    process = await started("--config", str(config), "--log", "error", "run", "ingest")
    try:
        made = Ingest(process.pid, listen, await a_token(owner))
        await _until_it_answers(made)
        yield made
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()


async def _until_it_answers(ingest: Ingest) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                body = json.dumps(a_document()).encode()
                status, _ = await ingest.post("/api/v1/lab/results", [body], "application/json", "", len(body))
                if status in (200, 201):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.2)


def megabytes(count: int, piece: bytes = b" ") -> Iterator[bytes]:
    whole = piece * (MEGABYTE // len(piece))
    return (whole for _ in range(count))


def packed(pieces: Iterable[bytes]) -> list[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    return [*(packer.compress(piece) for piece in pieces), packer.flush()]


def a_million_subtests() -> Iterator[bytes]:
    yield json.dumps({"branch": BRANCH, "executor": "vm"}).encode()[:-1]
    yield b', "cases": [{"group": "g", "test": "t", "result": "pass", "cases": ['
    for n in range(1000):
        yield b"".join(b'{"test":"s%d","result":"pass"},' % (n * 1000 + m) for m in range(1000))
    yield b'{"test":"last","result":"pass"}]}]}'


def nested(text: str) -> list[bytes]:
    return [GOOD[:-1], f', "device": {text}}}'.encode()]


ENTITIES = (
    b'<!DOCTYPE t [<!ENTITY a "' + b"a" * 1000 + b'">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 50) for n in range(9))
    + b']><testsuite name="x"><testcase name="&j;"/></testsuite>'
)  # fmt: skip

JSON, XML = "application/json", "application/xml"
GOOD = json.dumps(a_document()).encode()
WIDE = "\U0001f427".encode() + b"x" * 1020

HOSTILE: dict[str, tuple[Any, str, str]] = {
    # name: what makes the body, its type, its encoding
    "512 MiB of blanks": (lambda: megabytes(512), JSON, ""),
    "512 MiB of one string": (lambda: [b'{"a": "', *megabytes(512, b"x"), b'"}'], JSON, ""),
    "a bomb of 1 GiB": (lambda: packed(megabytes(1024, b"\0")), JSON, "gzip"),
    "a bomb of brackets": (lambda: packed(megabytes(60, b"[")), JSON, "gzip"),
    "a bomb of empty objects": (lambda: packed([b'{"cases": [', *megabytes(60, b"{},"), b"{}]}"]), JSON, "gzip"),
    "a million subtests": (a_million_subtests, JSON, ""),
    "a million brackets": (lambda: nested("[" * 10**6 + "]" * 10**6), JSON, ""),
    "nested too deep": (lambda: nested("[" * 17 + "]" * 17), JSON, ""),
    "NaN": (lambda: nested('{"a": NaN}'), JSON, ""),
    "infinity by exponent": (lambda: nested('{"a": 1e999}'), JSON, ""),
    "no UTF-8": (lambda: [GOOD.replace(b"selftests", b"self\xfftests")], JSON, ""),
    "half a surrogate": (lambda: nested('{"a": "\\ud800"}'), JSON, ""),
    "wide strings": (lambda: [b'{"cases": ["', *megabytes(60, WIDE), b'"]}'], JSON, ""),
    "entities in XML": (lambda: [ENTITIES], XML, ""),
    "deep XML": (lambda: [b"<testsuite>" * 10**6], XML, ""),
    "60 MiB of XML": (lambda: [b"<testsuite>", *megabytes(60, b"<testcase/>     "), b"</testsuite>"], XML, ""),
    "60 MiB of TAP": (lambda: [b"TAP version 13\n", *megabytes(60, b"ok 1 - a_______\n")], "text/plain", ""),
    "cut-off gzip": (lambda: [packed([b"{}"])[0]], JSON, "gzip"),
    "no gzip": (lambda: [b"{}"], JSON, "gzip"),
}  # fmt: skip


async def test_what_is_meant_to_hurt_is_refused_and_costs_little(ingest: Ingest) -> None:
    before, grown = ingest.peak(), {}
    for name, (body, kind, encoding) in HOSTILE.items():
        path = "/api/v1/lab/results" + ("" if kind == "application/json" else f"?branch={BRANCH}&executor=vm")
        status, told = await ingest.post(path, body(), kind, encoding, None)
        # 429: so many names that nobody has used before.
        assert status in (400, 413, 429), (name, told)
        assert told["status"] == status, (name, told)
        assert told["detail"], (name, told)
        grown[name] = ingest.peak() - before
    too_much = {name: size >> 20 for name, size in grown.items() if size >= MOST}
    assert too_much == {}


async def test_what_says_that_it_is_too_large_is_not_even_read(ingest: Ingest) -> None:
    before = ingest.peak()
    for path in ("results", "runs/1/cases", "runs", "runs/1/finish", "runs/1/heartbeat", "runs/1/abandon"):
        status, told = await ingest.post(f"/api/v1/lab/{path}", megabytes(8), "application/json", "", 512 << 20)
        assert (status, told["status"]) == (413, 413), path
    assert ingest.peak() - before < 20 << 20


async def test_more_than_the_process_holds_at_once_is_told_to_come_back(ingest: Ingest) -> None:
    """Many bodies that never end: the ones that find no room are told so, and the others still are served."""

    async def endless() -> int:
        host, port = ingest.listen.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /api/v1/lab/results HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ingest.token}\r\n"
            f"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        try:
            await _send(writer, megabytes(60), chunked=True, ends=False)
            async with asyncio.timeout(10):
                return int((await reader.readuntil(b"\r\n")).split()[1])
        except TimeoutError:
            return 0
        except ConnectionError:
            return 503
        finally:
            writer.close()

    before = ingest.peak()
    answers = await asyncio.gather(*(endless() for _ in range(6)))
    assert sorted(answers) == [0, 0, 503, 503, 503, 503]
    assert ingest.peak() - before < MOST
    body = json.dumps(a_document(executor="after")).encode()
    status, _ = await ingest.post("/api/v1/lab/results", [body], "application/json", "", len(body))
    assert status == 201
