"""The play: what is posted and cut when, and what must then be on Patchwork."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Never

from shared.errors import InfraError, NetciError, Refused, first_of
from shared.practice.config import GUEST
from shared.practice.demo.judge import Judge, table
from shared.practice.demo.narrate import Narrator
from shared.practice.demo.stage import Stage, staged
from shared.practice.world_series import Role
from shared.race import race

PATIENCE = 120.0
"""Seconds that any one step of the play may take; on an idle machine it takes a few."""

AFTERWARDS = 2.0
"""Seconds in which a check posted twice, or too late, would still come."""


async def demo(*, seed: int, once: bool, listen: str, keep: bool, link: Path) -> int:
    """Play it. With `once` the exit code says whether every verdict was right. `link` leads to the demo's folder."""
    print(f"netci demo, seed {seed}: setting the stage …", flush=True)
    try:
        _must_be_free(listen)
        return await _on_stage(seed, once, listen, keep, link)
    except* NetciError as several:
        why = first_of(several)
        print(f"netci demo: {why}", file=sys.stderr)
        code = 2 if isinstance(why, Refused) else 3
    return code


def _must_be_free(listen: str) -> None:
    """Say it before the stage is set. Raises Refused."""
    host, _, port = listen.rpartition(":")
    try:
        with socket.create_server((host.strip("[]"), int(port)), family=AF_INET6 if ":" in host else AF_INET):
            return
    except (OSError, OverflowError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "that is no HOST:PORT"
        raise Refused(f"can't listen on {listen}: {why}; give another address with --listen HOST:PORT") from None


async def _on_stage(seed: int, once: bool, listen: str, keep: bool, link: Path) -> int:
    async with staged(seed, listen, keep) as stage:
        with _linked(link, stage.folder) as where:
            return await _perform(stage, once, listen, where)


async def _perform(stage: Stage, once: bool, listen: str, where: Path) -> int:
    narrator = Narrator(stage.http)
    narrator.say(f"netci is up: http://{listen}/  (log: {stage.folder / 'netci.log'})")
    narrator.say(f"practice Patchwork: {stage.patchwork.url}/api/  practice hosts: {', '.join(stage.fleet.addresses)}")
    try:
        faults = await race(_play(stage, narrator), narrator.follow(), _alive(stage))
    except InfraError as exc:
        print(f"\nthe demo broke: {exc}\n\nnetci's log ends:\n{stage.log_tail()}")
        return 3
    _show(stage, faults)
    if once:
        return 1 if faults else 0
    await _stay(stage, narrator, listen, where)
    return 0


def _show(stage: Stage, faults: list[str]) -> None:
    print()
    print(table(stage.world, stage.patchwork))
    print()
    for fault in faults:
        print(f"WRONG: {fault}")
    if faults:
        print(f"\nnetci's log ends:\n{stage.log_tail()}\n")
    print("every verdict is as it should be" if not faults else f"{len(faults)} verdicts are wrong")


@contextmanager
def _linked(link: Path, folder: Path) -> Iterator[Path]:
    """Make the demo's folder known under a name that can be told beforehand. Yields where it is to be found."""
    new = folder / "link"
    try:
        if link.exists() and not link.is_symlink():
            raise FileExistsError(link)
        new.symlink_to(folder)
        new.rename(link)
    except OSError:
        # Somebody else's, perhaps another user's demo.
        new.unlink(missing_ok=True)
        yield folder
        return
    try:
        yield link
    finally:
        if link.is_symlink() and link.readlink() == folder:
            link.unlink()


async def _stay(stage: Stage, narrator: Narrator, listen: str, where: Path) -> None:
    print(f"\nIt stays up. Look at http://{listen}/ , http://{listen}/contest , http://{listen}/series")
    print(f"Try: netci --config {where / stage.config.name} cut net-next --why 'once more'.  Ctrl-C ends it.")
    print("Take part as an outside lab, docs/how-to/run-a-remote.md: ten minutes. What it begins with is")
    print(f"  export NETCI=http://{listen} NETCI_CONFIG={where / stage.config.name}")
    print(f"  netci token create 'my lab' --remote {GUEST} --scope 'results:write:*'", flush=True)
    stop = asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    following = asyncio.ensure_future(narrator.follow())
    await stop.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def _alive(stage: Stage) -> Never:
    while True:
        if stage.netci.poll() is not None:
            raise InfraError(f"netci ended with {stage.netci.returncode}")
        await asyncio.sleep(0.5)


async def _play(stage: Stage, narrator: Narrator) -> list[str]:
    judge = Judge(stage.world, stage.patchwork)
    for series in stage.world.series:
        if series.role is Role.NEW:
            await _until(judge.old_settled, "v1 is applied and its checks are posted")
            judge.v2_came()
        narrator.say(f"posting    {series.title!r} v{series.version} ({series.role}), {len(series.mails)} mails")
        for mail in series.mails:
            stage.patchwork.submit(mail)
        await asyncio.sleep(0.3)
    await _until(judge.all_settled_on_trees, "every series is applied and its tree_selection and apply are posted")
    await stage.command("cut", "net-next", "--why", "the demo's first branch")
    await _come_true(judge.first_cut_reported)
    if faults := judge.after_first_cut():
        return faults
    breaking = stage.world.by_role(Role.BREAKING)
    narrator.say(f"holding    {breaking.title!r}: it broke {', '.join(breaking.breaks)}")
    await stage.command("series", "hold", breaking.message_ids[0], "--why", f"breaks {', '.join(breaking.breaks)}")
    await stage.command("cut", "net-next", "--why", "once more, without what broke it")
    await _come_true(judge.second_cut_reported)
    await asyncio.sleep(AFTERWARDS)
    return judge.after_second_cut()


async def _until(done: Callable[[], bool], what: str) -> None:
    if not await _come_true(done):
        raise InfraError(f"after {PATIENCE:.0f} s it is still not so that {what}")


async def _come_true(done: Callable[[], bool]) -> bool:
    """Wait for it, but not for ever; whether it came."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not done():  # noqa: ASYNC110  it looks at a server that knows nothing of us
                await asyncio.sleep(0.2)
    except TimeoutError:
        return False
    return True
