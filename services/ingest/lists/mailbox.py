"""The series in a heap of mails, each put together, sorted to its trees and compared with its other versions. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.ingest import supersede
from services.ingest.assemble import Assembled, assemble
from services.ingest.lists.letters import Kind, Letter, Needs, letter, needs
from services.ingest.lists.threads import Thread, gather
from services.ingest.sources.base import Parcel, Piece, Pull
from services.ingest.triage import Decision, triage
from shared.errors import Refused
from shared.formats.mbox import join_mbox, parse_mail
from shared.formats.pull import pull_request
from shared.model.mails import Mail
from shared.settings import Project


@dataclass(frozen=True, slots=True)
class Found:
    """One series of a mailbox. `newer` is the Message-Id of the one that replaces it; `decision` None without rules."""

    thread: Thread
    series: Assembled
    needs: Needs
    decision: Decision | None = None
    newer: str = ""

    @property
    def state(self) -> str:
        """How it would stand at once: the words are those of ingest's states."""
        if self.thread.missing or not self.thread.patches:
            return "incomplete"
        if self.series.fault:
            return "malformed"
        if self.newer:
            return "superseded"
        return "ignored" if self.decision is not None and not self.decision.trees else "active"


@dataclass(frozen=True, slots=True)
class Unread:
    """A mail that cannot be read: its place in the mailbox, from 1, and why."""

    place: int
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a mailbox holds. `talk` counts the mails that are of no series."""

    found: tuple[Found, ...]
    unread: tuple[Unread, ...]
    mails: int
    talk: int


def read_mailbox(raws: Sequence[bytes], project: Project | None = None) -> Reading:
    """The series in `raws`, by the rules of `project` if there is one."""
    mails: dict[tuple[str, str], Mail] = {}
    letters: list[Letter] = []
    unread: list[Unread] = []
    for place, raw in enumerate(raws, 1):
        try:
            mail = parse_mail(raw)
        except Refused as exc:
            unread.append(Unread(place, str(exc)))
            continue
        one = letter(mail)
        mails.setdefault((one.message_id, one.digest), mail)
        letters.append(one)
    found = [_put_together(thread, mails, project) for thread in gather(letters)]
    talk = sum(one.kind is Kind.TALK for one in letters)
    return Reading(tuple(_ranked(found)), tuple(unread), len(raws), talk)


def _put_together(thread: Thread, mails: Mapping[tuple[str, str], Mail], project: Project | None) -> Found:
    patches = [mails[one.message_id, one.digest] for one in thread.patches]
    cover = mails[thread.cover.message_id, thread.cover.digest] if thread.cover else None
    parcel = parcel_of(thread, patches, cover)
    pull = next((Pull(pull_request(mail.body), 1) for mail in patches if thread.head.kind is Kind.PULL), None)
    series = assemble(parcel, patches, cover, pull)
    decision = triage(series, project.triage, project.trees) if project and not series.fault else None
    return Found(thread, series, needs([*([cover] if cover else []), *patches]), decision)


def parcel_of(thread: Thread, patches: Sequence[Mail], cover: Mail | None, external_id: int = 0) -> Parcel:
    """The series of `thread` as the room takes it in."""
    head = cover or patches[0]
    return Parcel(
        external_id=external_id,
        total=thread.total,
        received=len(patches),
        version=head.subject.version,
        name=head.subject.raw,
        author=head.sender,
        web_url="",
        mailed=head.date,
        pieces=tuple(Piece(number, mail.message_id) for number, mail in enumerate(patches, 1)),
        mbox=join_mbox(mail.raw for mail in patches),
        cover_message_id=cover.message_id if cover else "",
        cover_name=cover.subject.raw if cover else "",
        cover_mbox=cover.raw if cover else None,
    )


def _ranked(found: Sequence[Found]) -> list[Found]:
    """Say which is replaced by which. Whole and sound ones replace."""
    by_sender: dict[str, list[tuple[supersede.Known, Found]]] = defaultdict(list)
    for number, one in enumerate(found):
        known = supersede.Known(
            number, one.series.version, one.series.resend, one.series.likeness,
            frozenset(letter.message_id for letter in one.thread.letters), frozenset(one.series.refs),
            sound=one.state not in ("incomplete", "malformed"),
        )  # fmt: skip
        by_sender[one.thread.head.sender].append((known, one))
    ranked = []
    for number, one in enumerate(found):
        others = [known for known, _ in by_sender[one.thread.head.sender] if known.id != number]
        newer = supersede.rule(one.series, others).replaced_by
        by = found[newer.id].series.message_id if newer else ""
        ranked.append(Found(one.thread, one.series, one.needs, one.decision, by))
    return ranked
