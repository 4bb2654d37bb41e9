"""`python -m shared.practice.patchwork`: a practice Patchwork as a process, until it is told to stop.

Prints its address, and a token for each user, one a line; then nothing more.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from shared.practice.patchwork import control
from shared.practice.patchwork.server import Served, served, standard


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shared.practice.patchwork", description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="port 0 takes a free one")
    parser.add_argument("--project", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--newest", default="1.4", metavar="VERSION", help="highest API version")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the memory in this JSON file")
    parser.add_argument("--mbox", action="append", type=Path, default=[], metavar="FILE", help="feed it first")
    return parser.parse_args(words)


async def run(options: argparse.Namespace) -> None:
    host, _, port = options.listen.rpartition(":")
    major, _, minor = options.newest.partition(".")
    newest = (int(major), int(minor))
    async with served(
        standard(*options.project), host=host or "127.0.0.1", port=int(port), newest=newest, save=options.save
    ) as site:
        for path in options.mbox:
            control.submit(site.pw, path.read_bytes())
        _announce(site)
        await _told_to_stop()


def _announce(site: Served) -> None:
    print(site.url)
    for user in site.pw.users.values():
        print(f"token {user.username} {user.token}")
    sys.stdout.flush()


async def _told_to_stop() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def main() -> None:
    asyncio.run(run(arguments(sys.argv[1:])))


if __name__ == "__main__":
    main()
