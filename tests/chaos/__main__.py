"""Chaos: kill rooms, broker and database at random while series arrive; the outcome must not change.

Runs a whole netci twice on practice servers: once undisturbed, once with the kills that the seed gives, and compares
every check, verdict, case and event. Exit code 0 if nothing but the time differs and nothing is left over.
"""

import argparse
import asyncio
import random
import sys
import time

from tests.chaos.killer import Say
from tests.chaos.run import Report, compare


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how many rounds of kills (default %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="repeats the run of that seed; else one is drawn")
    parser.add_argument("--bus", choices=("rabbit", "postgres"), default="rabbit")
    parser.add_argument("--verbose", action="store_true", help="say what is posted, cut and killed, as it happens")
    parser.add_argument("--keep", action="store_true", help="leave the folders with logs, stores and blobs")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 31) if args.seed is None else args.seed
    print(f"chaos: {args.rounds} rounds, seed {seed}, bus {args.bus}", flush=True)
    say = _teller(args.verbose)
    try:
        report = asyncio.run(compare(seed, args.rounds, broker=args.bus == "rabbit", say=say, keep=args.keep))
    except* AssertionError as several:
        print(f"WRONG: {_first(several)}\n--seed {seed} repeats it")
        sys.exit(1)
    _print(report, seed)
    sys.exit(1 if report.faults else 0)


def _teller(verbose: bool) -> Say:
    start = time.monotonic()

    def say(text: str) -> None:
        if verbose or text.startswith(("disturbed", "undisturbed")):
            print(f"{time.monotonic() - start:7.1f}s  {text}", flush=True)

    return say


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = several.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


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
