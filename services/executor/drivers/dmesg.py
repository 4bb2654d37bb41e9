"""What the kernel of a host said during a test.

Answers the kernel log's new lines since an earlier look. Refuses to judge them: finding splats is a format's
job. A host that does not show its log (no permission, a container) is no error: the text is empty and `why`
says so.
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
    seen = before.text.splitlines()
    lines = after.text.splitlines()
    if seen:
        for at in range(len(lines) - 1, -1, -1):
            if lines[at] == seen[-1]:
                lines = lines[at + 1 :]
                break
    return "".join(f"{line}\n" for line in lines)
