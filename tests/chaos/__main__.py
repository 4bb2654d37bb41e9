"""Chaos: kill rooms, broker and database at random while series arrive; the outcome must not change.

Runs a whole netci twice on practice servers: once undisturbed, once with the kills that the seed gives, and compares
every check, verdict, case and event. Exit code 0 if nothing but the time differs and nothing is left over.

With --outage nobody is killed: Patchwork is in one trouble after the other, each for so long, while series arrive and
branches are cut. Exit code 0 if nothing was lost, nothing was posted twice, and the troubles could be seen.
"""

import argparse
import asyncio
import random
import sys
import time

from shared.arguments import duration
from shared.errors import first_of
from tests.chaos.killer import Say
from tests.chaos.outages import TROUBLES, Row, outages, table
from tests.chaos.run import Report, compare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how many rounds of kills (default %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the run of that seed; else one is drawn")
    parser.add_argument("--bus", choices=("rabbit", "postgres"), default="rabbit")
    parser.add_argument("--verbose", action="store_true", help="say what is posted, cut and killed, as it happens")
    parser.add_argument("--keep", action="store_true", help="leave the folders with logs, stores and blobs")
    parser.add_argument("--outage", type=duration, default=None, metavar="DURATION",
                        help="instead of killing: Patchwork in each trouble there is, for so long; as 2m")  # fmt: skip
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if args.seed is None else args.seed
    if args.outage is not None:
        sys.exit(_outages(args.outage.total_seconds(), seed))
    print(f"chaos: {args.rounds} rounds, seed {seed}, bus {args.bus}", flush=True)
    say = _teller(args.verbose)
    try:
        report = asyncio.run(compare(seed, args.rounds, broker=args.bus == "rabbit", say=say, keep=args.keep))
    except* AssertionError as several:
        print(f"WRONG: {first_of(several)}\n--seed {seed} repeats it")
        sys.exit(1)
    _print(report, seed)
    sys.exit(1 if report.faults else 0)


def _outages(length: float, seed: int) -> int:
    """0 only if nothing was lost, nothing was doubled, and all could be seen."""
    print(f"outages: {len(TROUBLES)} troubles of {length:g} s each, seed {seed}", flush=True)
    rows: list[Row] = []
    wrong = ""
    try:
        asyncio.run(outages(length, seed, _teller(True), rows))
    except* AssertionError as several:
        wrong = str(first_of(several))
    print(table(rows))
    print(f"WRONG: {wrong}\n--seed {seed} repeats it" if wrong else "nothing was lost, and nothing was posted twice")
    return 1 if wrong else 0


def _teller(verbose: bool) -> Say:
    start = time.monotonic()

    def say(text: str) -> None:
        if verbose or text.startswith(("disturbed", "undisturbed")):
            print(f"{time.monotonic() - start:7.1f}s  {text}", flush=True)

    return say


def _print(report: Report, seed: int) -> None:
    for fault in report.faults:
        print(f"WRONG: {fault}")
    kills = ", ".join(f"{n} {victim}" for victim, n in sorted(report.kills.items()))
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    print(f"{sum(report.kills.values())} kills ({kills}); {spent}; {report.facts} facts compared")
    print(f"{len(report.faults)} differ or are left over; --seed {seed} repeats it" if report.faults
          else "nothing but the time differs")  # fmt: skip


if __name__ == "__main__":
    main()
