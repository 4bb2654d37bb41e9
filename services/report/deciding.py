"""From what other rooms recorded to what we say: of a branch, of the series on it, of a series before any branch.

Each verb loads the present state, asks the pure modules, and writes, in the caller's transaction. Calling one twice
changes nothing the second time.
"""

from datetime import datetime

from services.report import compose
from services.report.fold import BranchVerdict, CutFacts, Lab, Patience, Reason, RunFacts, fold
from services.report.intents import Intents
from services.report.said import Said, of_checks
from services.report.store import SQL, Chosen, Cut, ReportStore, SeriesFacts
from services.report.verdicts import APPLY, POSTABLE, TREE_SELECTION, Verdict, of_branch
from shared.db.pool import Connection
from shared.model.ids import OWN_REMOTE
from shared.model.results import CheckState, Purpose
from shared.settings import Settings, Stream

TOLD = (Purpose.SCHEDULED, Purpose.BY_HAND)
"""Purposes of cuts whose outcome is the business of the series on them."""


class Deciding:
    """See the module."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = ReportStore()
        self._intents = Intents(settings)

    async def branch(self, conn: Connection, cut_id: int, now: datetime) -> datetime | None:
        """Fold a cut and tell its series, if there is anything to tell. Unknown streams and unpushed cuts are left.

        Returns when to fold again if nothing happens until then; None for a settled one.
        """
        cut = await self._store.cut(conn, cut_id)
        stream = self._stream(cut) if cut else None
        if cut is None or stream is None or cut.announced is None:
            return None
        verdict = fold(await self._facts(conn, cut, cut.announced), _patience(stream), now)
        await self._store.save_branch(conn, cut, verdict, now)
        if cut.purpose in TOLD:
            await self._tell(conn, cut, stream, verdict, now)
        return verdict.wait_until

    async def _tell(self, conn: Connection, cut: Cut, stream: Stream, verdict: BranchVerdict, now: datetime) -> None:
        chosen = await self._store.chosen(conn, cut)
        told = [_conflict(cut, stream, c) for c in chosen if c.clash]
        if spoken := of_branch(verdict):
            told += [_of_cut(cut, stream, c, verdict, *spoken) for c in chosen if c.clash is None]
        await self._intents.put(conn, told, now)

    def _stream(self, cut: Cut) -> Stream | None:
        project = self._settings.projects.get(cut.project)
        return project.streams.get(cut.stream) if project else None

    async def _facts(self, conn: Connection, cut: Cut, announced: datetime) -> CutFacts:
        given_up = await self._store.given_up(conn, cut.id)
        labs = [
            Lab(remote, name, given_up.get((remote, name), ""))
            for remote, name in self._settings.expected_on(cut.stream)
            if self._settings.reports(remote)
        ]
        runs: list[RunFacts] = await self._store.runs(conn, cut.id)
        return CutFacts(cut.name, announced, labs, [r for r in runs if self._settings.reports(r.lab.remote)])

    async def series(self, conn: Connection, series_id: int, now: datetime) -> None:
        """Say for which tree a series is and whether it applies there, as soon as that is known."""
        facts = await self._store.series(conn, series_id)
        if facts is None:
            return
        if facts.state not in POSTABLE:
            await conn.execute(SQL["drop_unsent"], series_id, f"the series is {facts.state}")
            return
        await self._intents.put(conn, verdicts_of(facts), now)

    async def checks(
        self, conn: Connection, series_id: int, now: datetime, only: tuple[str, int] | None = None
    ) -> None:
        """Say what our own checks said of a series, and what labs did in the contexts that its project lists; with
        `only` in this context of this patch alone.
        """
        facts = await self._store.series(conn, series_id)
        project = self._settings.projects.get(facts.project) if facts else None
        if facts is None or project is None or facts.state not in POSTABLE:
            return
        context, patch = only or (None, None)
        rows = await conn.fetch(SQL["series_checks"], series_id, list(project.checks), OWN_REMOTE, context, patch)
        said = [Said(r["context"], r["patch"], CheckState(r["state"]), r["text"], r["remote"]) for r in rows]
        await self._intents.put(conn, of_checks(facts.id, facts.revision, facts.project, said), now)


def verdicts_of(facts: SeriesFacts) -> list[Verdict]:
    """What a series is told before any branch. Pure. Nothing while its tree is open."""
    if not facts.outcome:
        return [_tree_selection(facts)] if facts.state == "ignored" else []
    return [_tree_selection(facts), _apply(facts)]


def _tree_selection(facts: SeriesFacts) -> Verdict:
    """Always success: it says that the series was seen, and what was made of it."""
    text = (
        facts.tree_reason or (facts.reason if facts.state == "ignored" else "") or facts.triage_reason or facts.reason
    )
    return _of_series(facts, TREE_SELECTION, CheckState.SUCCESS, text or "Seen", "tree")


def _apply(facts: SeriesFacts) -> Verdict:
    if facts.outcome == "applied" or facts.already:
        text = compose.applies(facts.tree, facts.already)
        return _of_series(facts, APPLY, CheckState.SUCCESS, text, "applied")
    text = compose.does_not_apply(facts.tree, facts.patch_number, facts.files, facts.apply_reason)
    return _of_series(facts, APPLY, CheckState.FAIL, text, "refused")


def _of_series(facts: SeriesFacts, context: str, state: CheckState, text: str, rule: str) -> Verdict:
    line = compose.clip(text)
    why = facts.apply_reason if context == APPLY and facts.apply_reason else line
    return Verdict(
        facts.id, facts.revision, facts.project, context, state, True, line, (Reason(rule, why),),
        patch_number=facts.patch_number if context == APPLY else None,
    )  # fmt: skip


def _of_cut(
    cut: Cut, stream: Stream, chosen: Chosen, branch: BranchVerdict, state: CheckState, settled: bool
) -> Verdict:
    return Verdict(
        chosen.series, chosen.revision, cut.project, stream.context, state, settled, branch.text, branch.reasons, cut.id
    )  # fmt: skip


def _conflict(cut: Cut, stream: Stream, chosen: Chosen) -> Verdict:
    assert chosen.clash is not None
    text = compose.conflict(chosen.clash)
    return Verdict(
        chosen.series, chosen.revision, cut.project, stream.context, CheckState.FAIL, True, text,
        (Reason("conflict", chosen.reason or text),), cut.id, chosen.patch_number,
    )  # fmt: skip


def _patience(stream: Stream) -> Patience:
    return Patience(stream.expect, stream.grace, stream.skips == "warning")
