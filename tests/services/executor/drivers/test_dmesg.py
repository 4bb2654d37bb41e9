"""The kernel log's new lines."""

from datetime import timedelta
from pathlib import Path, PurePosixPath

from services.executor.drivers.base import Command, Exit, Host, Output
from services.executor.drivers.dmesg import TAIL, KernelLog, kernel_log, read, since


def log(*lines: str) -> KernelLog:
    return KernelLog("".join(f"{line}\n" for line in lines))


def test_only_what_is_new() -> None:
    assert since(log("a", "b"), log("a", "b", "c", "d")) == "c\nd\n"
    assert since(log("a", "b"), log("a", "b")) == ""
    assert since(log(), log("a")) == "a\n"


def test_a_line_said_twice_is_looked_up_from_the_end() -> None:
    assert since(log("x", "a", "x"), log("x", "a", "x", "b")) == "b\n"


def test_a_ring_that_has_turned_gives_everything() -> None:
    assert since(log("a", "b"), log("y", "z")) == "y\nz\n"


async def test_a_host_that_hides_its_log_is_no_error() -> None:
    found = await kernel_log(_Mute())
    assert (found.text, found.readable, found.why) == ("", False, "dmesg: read kernel buffer failed")


class _Mute(Host):
    """A host that may not read its kernel log."""

    name = "mute"

    async def run(self, command: Command, *, timeout: timedelta, out: Output | None = None) -> Exit:
        assert out is not None
        out.write(b"dmesg: read kernel buffer failed\n", stderr=True)
        return Exit(1)

    async def put(self, source: Path, to: PurePosixPath) -> None:
        raise AssertionError

    async def unpack(self, tar: object, to: PurePosixPath) -> None:
        raise AssertionError

    async def get(self, source: PurePosixPath, to: Path, *, limit: int) -> int:
        raise AssertionError


def shown(text: str, word: str = "netci-readable") -> bytes:
    return f"{text}{word}\n".encode()[-TAIL:]


def test_the_end_of_a_log_will_do_where_it_goes_back_far_enough() -> None:
    before = log("[1] a", "[2] b")
    found = read(shown("[1] a\n[2] b\n[3] c\n"), before)
    assert found is not None
    assert since(before, found) == "[3] c\n"
    far = "".join(f"[{n}] {'x' * 50}\n" for n in range(3, 2000))
    assert read(shown("[2] b\n" + far), before) is None
    near = read(shown(far + "[2] b\n[9999] new\n"), before)
    assert near is not None
    assert since(before, near) == "[9999] new\n"
    empty = read(shown(""), log())
    assert empty is not None
    assert empty.text == ""


def test_a_log_that_did_not_come_or_may_not_be_read() -> None:
    assert read(None, log("a")) is None
    assert read(b"[1] half a li", log("a")) is None
    hidden = read(shown("dmesg: not permitted\n", "netci-unreadable"), log())
    assert hidden is not None
    assert (hidden.readable, hidden.why) == (False, "dmesg: not permitted")
