"""The kernel log's new lines."""

from datetime import timedelta
from pathlib import Path, PurePosixPath

from services.executor.drivers.base import Command, Exit, Host, Output
from services.executor.drivers.dmesg import KernelLog, kernel_log, since


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
