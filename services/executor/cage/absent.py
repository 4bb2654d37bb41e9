"""Where no cage can be made, and how that is found out before anything needs one."""

from dataclasses import dataclass
from typing import Never

from services.executor.cage.base import Cage, Isolation, Limits, Line
from shared.errors import InfraError

_PATIENCE = 30.0


@dataclass
class NoCage:
    """Where none can be made. What runs nothing needs none; whatever asks for a tool is told `why`."""

    why: str
    name: str = "none"

    async def run(
        self,
        cage: Cage,
        argv: tuple[str, ...],
        *,
        stdin: bytes = b"",
        pass_fds: tuple[int, ...] = (),
        heard: Line | None = None,
    ) -> Never:
        raise InfraError(self.why)

    def close(self) -> None:
        """There is nothing to remove."""


async def tried(isolation: Isolation) -> str:
    """What is wrong with it, "" if nothing is. The first command also clears away what is left of killed processes."""
    try:
        ran = await isolation.run(Cage(limits=Limits(seconds=_PATIENCE)), ("/bin/true",))
    except InfraError as exc:
        return str(exc)
    said = ran.merged.decode("utf-8", "replace").strip()[-300:]
    return "" if ran.ok else f"a command in the cage ended with {ran.code} {ran.said} {said}".strip()
