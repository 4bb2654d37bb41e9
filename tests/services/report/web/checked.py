"""A series of five patches half-way through its checks, with everything that a page may have to show of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.blobs.record import keep
from shared.db.pool import Pool
from shared.floor import Floor
from shared.formats.check_report import CheckReport, ReportedFinding, artifact, dump
from shared.ledger import Check
from shared.ledger.write import Ledger, Opening, OpenRun
from shared.model.ids import OWN_REMOTE
from shared.model.results import CheckState
from tests.services.report.web.builders import HOSTILE, applied, sha

LEDGER = Ledger("executor")
PATCHES = 5
NAMES = {
    "mail": ("fixes_present", "series_format", "signed"),
    "tree": (
        "cc_maintainers",
        "checkpatch",
        "deprecated_api",
        "kdoc",
        "source_inline",
        "verify_fixes",
        "verify_signedoff",
    ),
    "build": ("build_32bit", "build_allmodconfig_warn", "build_clang"),
}
OF_SERIES = ("fixes_present", "series_format")
TEXT = f"{HOSTILE}\x1b[31m red \u202e reversed"


@dataclass
class Checked:
    """What was made, by number; `runs` by lane."""

    owner: Pool
    floor: Floor
    series: int
    plans: dict[str, int]
    runs: dict[str, OpenRun]


async def checked(floor: Floor, owner: Pool, series: int = 0) -> Checked:
    """Mail and tree lanes answered but for one machine's fault, builds under way; a lab speaks, too."""
    series = series or await five_patches(owner)
    await applied(floor, owner, series)
    made = Checked(owner, floor, series, {}, {})
    for lane, state in (("mail", "done"), ("tree", "running"), ("build", "running")):
        await a_plan(made, lane, state)
    for name in OF_SERIES:
        await answer(made, "mail", name, 0, "success", "Posting correctly formatted")
    for patch in range(1, PATCHES + 1):
        await answer(made, "mail", "signed", patch, "warning" if patch == 4 else "success", "no key of that author")
        for name in NAMES["tree"]:
            if (name, patch) == ("kdoc", 3):
                await answer(made, "tree", name, patch, "fail", TEXT, report=a_report(patch))
            elif (name, patch) == ("checkpatch", 2):
                text = "WARNING: line length of 88 exceeds 80 columns; CHECK: Alignment should match open parenthesis"
                await answer(made, "tree", name, patch, "warning", text)
            elif (name, patch) == ("cc_maintainers", 5):
                await a_task(made, "tree", name, patch, "infra", why="10.1.2.3 does not answer")
            else:
                await answer(made, "tree", name, patch, "success", "")
        await a_task(made, "build", "build_32bit", patch, "running" if patch == 1 else "planned", "making defconfig")
        await a_task(made, "build", "build_clang", patch, "planned")
    await answer(made, "build", "build_allmodconfig_warn", 1, "success", "Errors and warnings before: 3 this patch: 3")
    await a_lab(made)
    return made


async def five_patches(owner: Pool) -> int:
    series = await owner.fetchval(
        "insert into ingest.series (project, source, external_id, message_id, subject, title, version, total, "
        "received, state, trees, author_name) values ('netdev', 'patchwork', 5005, $1, $2, $2, 3, 5, 5, 'active', "
        "'{net-next}', 'Jane Doe') returning id",
        "20261123080005.5-1-jane@example.org", "net: ethtool: tell drivers' queues apart",
    )  # fmt: skip
    for n in range(1, PATCHES + 1):
        await owner.execute(
            "insert into ingest.patches (series_id, number, external_id, message_id, title, author_name) "
            "values ($1, $2, $3, $4, $5, 'Jane Doe')",
            series, n, 50_050 + n, f"20261123080005.5-{n + 1}-jane@example.org", f"net: ethtool: part {n} {HOSTILE}",
        )  # fmt: skip
    return int(series)


async def a_plan(made: Checked, lane: str, state: str, attempt: int = 0) -> None:
    opening = Opening("netdev", OWN_REMOTE, f"checks-{lane}", series_id=made.series, attempt=attempt)
    async with made.owner.acquire() as conn, conn.transaction():
        made.runs[lane] = await LEDGER.open(conn, opening)
    made.plans[lane] = await made.owner.fetchval(
        "insert into executor.check_plans (project, series_id, revision, message_id, lane, attempt, state, patches, "
        "tree, run_id, expected, started) values ('netdev', $1, 1, 'x', $2, $3, $4, 5, 'net-next', $5, 600, $6) "
        "returning id",
        made.series, lane, attempt, state, made.runs[lane].id, datetime.now(UTC) - timedelta(minutes=1),
    )  # fmt: skip


async def a_task(
    made: Checked, lane: str, name: str, patch: int, state: str, described: str = "", why: str = ""
) -> None:
    ended = datetime.now(UTC) if state in ("answered", "infra") else None
    await made.owner.execute(
        "insert into executor.check_tasks (plan_id, check_name, patch, state, why, described, started, ended, seconds) "
        "values ($1, $2, $3, $4, $5, $6, now(), $7, $8) on conflict (plan_id, check_name, patch) do update set "
        "state = excluded.state, why = excluded.why, described = excluded.described, ended = excluded.ended, "
        "seconds = excluded.seconds",
        made.plans[lane], name, patch, state, why, described, ended, 1.25 if ended else None,
    )  # fmt: skip


async def answer(
    made: Checked, lane: str, name: str, patch: int, state: str, text: str, report: CheckReport | None = None
) -> None:
    """As the sink of the checks' room writes it: artifacts, the check with its event, the task."""
    documents: dict[str, bytes] = {}
    if report is not None:
        documents = {
            report.log: b"kernel-doc -Wall -none net/ethtool/ioctl.c\n" * 7000,
            artifact(patch, name, "files/diff stat.txt"): b" 1 file changed\n",
            artifact(patch, name): dump(report),
        }
    run = made.runs[lane]
    kept: Sequence[tuple[str, str, int]] = [(n, await keep(made.floor, d), len(d)) for n, d in documents.items()]
    check = Check("netdev", made.series, 1, name, CheckState(state), run.id, patch, text)
    async with made.owner.acquire() as conn, conn.transaction():
        for what, sha256, size in kept:
            await LEDGER.attach(conn, run, what, sha256, size)
        await LEDGER.check(conn, check)
    await a_task(made, lane, name, patch, "answered", text)


def a_report(patch: int, check: str = "kdoc") -> CheckReport:
    context = tuple((n, f"\tint line_{n}; /* {HOSTILE if n == 41 else 'as it is'} */") for n in range(39, 45))
    new = ReportedFinding(
        f"Function parameter 'queue' not described {TEXT}", f"net/ethtool/{HOSTILE}.c", 41, "warning", True, context
    )
    more = tuple(
        ReportedFinding(f"No description found for return value of 'f{n}'", "net/ethtool/ioctl.c", 100 + n)
        for n in range(3)
    )
    old = ReportedFinding("Excess function parameter 'x'", "net/ethtool/ioctl.c", 7, "warning", False)
    return CheckReport(
        check, patch, "fail", TEXT, (new, *more, old),
        "git diff --name-only HEAD~ -- '*.c' '*.h' |\n\txargs scripts/kernel-doc -Wall -none  # " + HOSTILE,
        (f"judged by the base's scripts: this series changes scripts/kernel-doc {HOSTILE}",),
        {"before": 1, "after": 5}, 3.5, "", "net-next", sha("b"), sha("a"),
        artifact(patch, check, "log"), (artifact(patch, check, "files/diff stat.txt"),), 12,
    )  # fmt: skip


async def a_lab(made: Checked) -> None:
    opening = Opening("netdev", "lab-x", "bot", series_id=made.series, link="https://lab.example/")
    async with made.owner.acquire() as conn, conn.transaction():
        run: Any = await LEDGER.open(conn, opening)
        for patch, state in ((2, CheckState.SUCCESS), (3, CheckState.FAIL)):
            check = Check("netdev", made.series, 1, "vendor-build", state, run.id, patch, TEXT, "https://lab.example/3")
            await LEDGER.check(conn, check)
