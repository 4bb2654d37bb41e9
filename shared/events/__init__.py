"""The contract between rooms. An event says *look*: ids, counts, references and a commit id, never lists."""

from shared.events.base import Envelope, Event, Visibility
from shared.events.branch import BranchCut, TreeMoved, visibility_of
from shared.events.hook import HookDisabled
from shared.events.remote import RemoteChanged
from shared.events.run import CheckDone, RunDone, RunProgress, RunStarted
from shared.events.series import SeriesApplied, SeriesArrived, SeriesChanged, SeriesRefused
from shared.events.verdict import VerdictChanged

EVENTS: tuple[type[Event], ...] = (
    SeriesArrived,
    SeriesChanged,
    SeriesApplied,
    SeriesRefused,
    TreeMoved,
    CheckDone,
    BranchCut,
    RunStarted,
    RunProgress,
    RunDone,
    VerdictChanged,
    RemoteChanged,
    HookDisabled,
)

BY_TYPE: dict[str, type[Event]] = {event.type_name(): event for event in EVENTS}

__all__ = [
    "BY_TYPE",
    "EVENTS",
    "BranchCut",
    "CheckDone",
    "Envelope",
    "Event",
    "HookDisabled",
    "RemoteChanged",
    "RunDone",
    "RunProgress",
    "RunStarted",
    "SeriesApplied",
    "SeriesArrived",
    "SeriesChanged",
    "SeriesRefused",
    "TreeMoved",
    "VerdictChanged",
    "Visibility",
    "visibility_of",
]
