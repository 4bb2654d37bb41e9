"""What the kernel of a host said during a test.

Answers the kernel log's new lines since an earlier look. Refuses to judge them: finding crashes is a format's job
(shared.formats.oops). A host that does not show its log (no permission, a container) is no error: the text is empty
and `why` says so.
"""

from dataclasses import dataclass
from datetime import timedelta

from services.executor.drivers.base import MIB, Capture, Command, Host

LIMIT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class KernelLog:
    """The whole ring buffer at one moment; `why` is set when it could not be read."""

    text: str
    readable: bool = True
    why: str = ""


TAIL = 16 << 10
THEN = f"{{ if LC_ALL=C dmesg; then echo netci-readable; else echo netci-unreadable; fi; }} 2>&1 | tail -c {TAIL}"
"""A script that shows the end of the log, for `read`: there is seldom more news than that, and often a quarter of a
mebibyte that is known."""


def read(said: bytes | None, before: KernelLog) -> KernelLog | None:
    """The log as `THEN` showed it, from a line on that `before` has; None if it shows too little."""
    text, _, word = (said or b"").decode(errors="replace").rstrip("\n").rpartition("\n")
    if word == "netci-unreadable":
        return KernelLog("", False, text.strip()[-200:])
    if word != "netci-readable":
        return None
    whole = len(said or b"") < TAIL
    last = _last(before)
    known = last and f"\n{last}\n" in f"\n{text}\n"
    return KernelLog(f"{text}\n" if text else "") if whole or known else None


async def kernel_log(host: Host) -> KernelLog:
    """Read the host's kernel log. Raises what `Host.run` raises."""
    said = Capture()
    done = await host.run(Command(("dmesg",), env={"LC_ALL": "C"}, cap=4 * MIB), timeout=LIMIT, out=said)
    if not done.ok:
        why = said.stderr.decode(errors="replace").strip()[:200] or f"dmesg ended with {done.code}"
        return KernelLog("", False, why)
    return KernelLog(said.stdout.decode(errors="replace"))


def since(before: KernelLog, after: KernelLog) -> str:
    """The lines of `after` that `before` had not.

    The last line seen is looked up from the end; if the ring has lost it, everything that is left is new.
    """
    last = _last(before)
    if not last:
        return after.text
    at = f"\n{after.text}".rfind(f"\n{last}\n")
    return after.text if at < 0 else after.text[at + len(last) + 1 :]


def _last(log: KernelLog) -> str:
    return log.text.rstrip("\n").rpartition("\n")[2]
