"""The command `netci repro`."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from shared.errors import NetciError
from shared.formats.clean import plain

_DESCRIPTION = """\
Runs a test again on your machine as it ran where a result comes from: fetches the branch, builds its kernel with the
same configuration, boots it in a guest of QEMU, prepares the suite, runs that one test, and says whether it comes to
the same.

RESULT is the address of a test's log on a netci (…/run/7/log/selftests-net/tun/0/stdout), of its run with --test, or a
recipe.json that was kept from there.

Exit codes: 0 it came to the same each time, 1 it did not, 2 it could not be done, 130 broken off by Ctrl-C.
"""


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = subparsers.add_parser(
        "repro", help="run a test again here, as it ran there", description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    put = verb.add_argument
    put("result", metavar="RESULT", help="the address of a result, or a recipe.json")
    put("--test", default="", metavar="GROUP/TEST", help="which test, where RESULT is a run")
    put("--kernel", type=Path, metavar="FILE", help="boot this image or package instead of building the kernel")
    put("--modules", type=Path, metavar="DIR", help="the modules of --kernel, if it is an image that has some")
    put("--root", type=Path, metavar="DIR", help="a guest's root; default: one made of this machine's packages")
    put("--host", default="", metavar="USER@HOST", help="run on this machine, over SSH, instead of in a guest")
    put("--key", type=Path, metavar="FILE", help="the key for --host; default: your ssh agent's")
    put("--known-hosts", type=Path, metavar="FILE", help="for --host; default: ~/.ssh/known_hosts")
    put("--git", default="", metavar="URL", help="fetch from here instead of where the branch was")
    put("--times", type=int, default=1, metavar="N", help="how often; default: once")
    put("--work", type=Path, metavar="DIR", help="for trees, kernels and logs; default: ~/.cache/netci/repro")
    put("--show", action="store_true", help="only print the recipe")
    put("--json", action="store_true", help="for programs")
    verb.set_defaults(run=_repro, bare=True)


async def _repro(args: argparse.Namespace, settings: None) -> int:
    from services.executor import recipe
    from services.executor.repro import app, given

    try:
        found = await given.read(args.result, args.test)
        if args.show:
            print(recipe.dump(found.recipe).decode(), end="")
            return 0
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        wanted = app.Wanted(
            (args.work or cache / "netci" / "repro").resolve(), args.kernel, args.modules, args.root, args.host,
            args.known_hosts, args.key, args.git, max(1, args.times),
        )  # fmt: skip
        tries = await app.reproduce(found, wanted, _silent if args.json else _say)
    except NetciError as exc:
        print(f"netci repro: {exc}", file=sys.stderr)
        return 2
    there = found.recipe.result
    same = all(one.result == there for one in tries)
    if args.json:
        print(json.dumps(_document(found.recipe, tries, same), indent=1))
    else:
        for line in _lines(there, tries, same):
            print(line)
    return 0 if same else 1


def _say(text: str) -> None:
    print(f"netci: {text}", flush=True)


def _silent(text: str) -> None:
    return


def _document(recipe: Any, tries: Any, same: bool) -> dict[str, Any]:
    return {
        "group": recipe.group, "test": recipe.test, "commit": recipe.commit, "there": recipe.result, "same": same,
        "here": [
            {
                "result": one.result, "seconds": round(one.seconds, 3), "logs": str(one.logs),
                "cases": [{"name": case.subtest or case.test, "result": str(case.result)} for case in one.cases],
                "crashes": sorted({crash for case in one.cases for crash in case.crashes}),
            }
            for one in tries
        ],
    }  # fmt: skip


def _lines(there: str, tries: Any, same: bool) -> list[str]:
    lines = []
    for one in tries:
        lines.append(f"here: {one.result} in {one.seconds:.1f} s, logs in {one.logs}")
        for case in one.cases:
            if case.result not in ("pass", "skip"):
                told = f": {plain(case.detail)}" if case.detail else ""
                lines.append(f"  {case.result} {plain(case.subtest or case.test)}{told}")
                lines += [f"    crash: {plain(crash)}" for crash in case.crashes]
    verdict = "the same" if same else "not the same"
    return [*lines, f"there: {there}; here it comes to {verdict}"]
