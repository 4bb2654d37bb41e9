"""The reading API: each path with its parameters and answer, for the router and for the OpenAPI document.

The answers are the pages' own data (`front.twin`), so a program reads what a person sees.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from services.report.web import answers, branches, checks, contest, mine, remotes, runs, series, status
from services.report.web.front import Data, Front, Page, as_json
from services.report.web.history import compare, crash, flakes, matrix, test
from shared.errors import Missing
from shared.events.asyncapi import document as asyncapi
from shared.events.asyncapi import schema_of
from shared.web.openapi import Asked, Endpoint, Parameter
from shared.web.wanted import KINDS

Id = Annotated[int, Field(gt=-(10**18), lt=10**18)]
"""What an import brought has an id below zero."""
Text = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=512)]
CheckName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
PatchNumber = Annotated[int, Field(ge=0, lt=10**4)]
Limit = Annotated[int, Field(ge=1, lt=10**9)]
Flag = Literal["0", "1", "n", "y", "no", "yes", "false", "true", "off", "on", ""]
Cursor = Annotated[str, Field(pattern=r"^[0-9]{1,18}(-[0-9a-f]{8})?$")]
LastId = Annotated[str, Field(pattern=r"^([0-9]{1,18}(-[0-9a-f]{8})?)?$")]
Wait = Annotated[str, Field(pattern=r"^[0-9]{1,5}s?$")]
_WORDS = "|".join(name.replace(".", "\\.") for name in sorted([*KINDS, *KINDS.values()]))
Types = Annotated[str, Field(pattern=rf"^({_WORDS})(,({_WORDS})){{0,20}}$")]
Words = Annotated[str, Field(pattern=r"^[^\x00,]{1,200}$")]
After = Annotated[str, Field(pattern=r"^([^\x00\t]{0,512}(\t[^\x00\t]{0,512}){2}\t[0-9]{1,4})?$")]
Place = Annotated[str, Field(pattern=r"^-?[0-9]{1,18}(\.[0-9]{1,9}){3}$")]

SECONDS = "whole seconds, as 30"
LIMIT = Parameter("limit", Limit, "How many at most; what is more than a page holds is cut.")
BEFORE = Parameter("before", Id, "From below this key: `next` of the page before.")
PROJECT = Parameter("project", Text, "Of this project only.")
STREAM = Parameter("stream", Text, "Of this stream only.")
BRANCH = Parameter("name", Text, "Its name.", example="net-next-2026-11-23--09-00")
REMOTE = Parameter("name", Text, "Its name.", example="metal")
RUN = Parameter("id", Id, "The number of the run.", example=1)

CHECK = Parameter("context", CheckName, "Its name, as on Patchwork.", example="kdoc")
OF_PATCH = Parameter("patch", PatchNumber, "The number of the patch; 0: the series.", example=1)

FILTERS = (
    Parameter(
        "type",
        Types,
        "Types of events: `branch.cut` or `dev.netci.branch.cut.v1`.",
        repeats=True,
        form=f"there is no such type; there are {', '.join(sorted(KINDS))}",
    ),
    Parameter("project", Words, "Of these projects.", repeats=True),
    Parameter("stream", Words, "About branches of these streams.", repeats=True),
    Parameter("remote", Words, "About runs of these remotes.", repeats=True),
    Parameter("series", Words, "About these series: by number, or by the message id of a mail.", repeats=True),
    Parameter("after", Cursor, "A cursor: everything after it.", form="a cursor looks like 17 or 17-6f1c9a20"),
)
LAST_ID = (Parameter("Last-Event-ID", LastId, "A cursor, as browsers send it; it wins over `after`."),)
CONTEST = (
    *(Parameter(name, Text) for name in ("branch", "stream", "remote", "executor", "group", "test")),
    *(Parameter(name, Flag, "Results to show.") for name in ("pass", "skip", "warn", "fail")),
    Parameter("ld_cases", Flag, "Subtests, too; `ld-cases` is the same."),
    Parameter("ld-cases", Flag),
    Parameter("retried", Flag, "Only tests that were run again."),
    Parameter("ld_cnt", Limit, "Of so many of the newest branches; `ld-cnt` is the same."),
    Parameter("ld-cnt", Limit),
    Parameter("ld_branch", Text, "The same as `branch`."),
    Parameter("pw-n", Flag, "0: leave out remotes that do not count for verdicts."),
    Parameter("pw-y", Flag, "0: leave out those that do."),
    Parameter("after", Place, "Where the page begins: as given by `next` of the page before."),
)  # fmt: skip

AMONG = (
    Parameter("needle", Text, "Part of remote/executor/group/test; `tn-needle` is the same."),
    Parameter("tn-needle", Text),
    Parameter("remote", Text, "Of this remote only; `ld-remote` is the same."),
    Parameter("ld-remote", Text),
    Parameter("executor", Text, "Of this executor only."),
    Parameter("stream", Text, "Of this stream only; `br-pfx` is the same."),
    Parameter("br-pfx", Text),
    Parameter("pw-n", Flag, "0: leave out remotes that do not count for verdicts."),
    Parameter("pw-y", Flag, "0: leave out those that do."),
)
MATRIX = (
    *AMONG,
    Parameter("br-cnt", Limit, "So many of the newest branches."),
    Parameter("min-flip", Annotated[str, Field(pattern=r"^[0-9]{0,9}$")], "Tests that changed at least so often."),
    Parameter("sort-streak", Flag, "Those first that have passed for longest."),
    Parameter("hw-stable", Flag, "Without tests of devices that are ignored until they are steady."),
)
Crash = Annotated[str, Field(pattern=r"^[^\x00]+$", max_length=2000)]
Name = Annotated[str, Field(pattern=r"^[^\x00]*[^\x00\s][^\x00]*$", max_length=512)]
HISTORY = (
    Parameter("test", Name, "Its name.", example="tls", required=True),
    Parameter("group", Text, "Its group.", example="selftests-net"),
    *(Parameter(name, Text) for name in ("remote", "executor", "stream")),
    Parameter("runs", Limit, "So many of the newest runs of each lab."),
)
LabName = Annotated[str, Field(pattern=r"^([^\x00/]+/[^\x00]+)?$", max_length=300)]
COMPARE = (
    Parameter("after", Name, "A branch.", example="net-next-2026-11-23--09-00", required=True),
    Parameter("before", Text, "The branch it is compared with; without it the one before."),
    Parameter("lab", LabName, "Instead of a branch, compare this lab, as remote/executor,"),
    Parameter("with", LabName, "with this one, on the branch `after`."),
)
MINE = (
    Parameter("who", Text, "The address that the patches are from.", example="jane@example.org"),
    Parameter("delegate", Text, "Or the maintainer they are delegated to, as on Patchwork."),
    Parameter("state", Literal["active", "all", ""], "all: also what nobody waits for any more."),
    Parameter("since", datetime, "Marks as `new` what was told of since then.", example="2026-11-23T09:00:00Z"),
)

Act = Callable[[Front, Asked], Awaitable[Any]]


def read(make: Page) -> Act:
    """The endpoint that gives `make`'s data."""

    async def give(front: Front, asked: Asked) -> web.Response:
        return as_json(await make(front, asked.request))

    return give


async def nipa_branches(front: Front, asked: Asked) -> web.Response:
    return await branches.nipa_branches(asked.request)


async def events(front: Front, asked: Asked) -> web.StreamResponse:
    return await front.stream.either(asked.request)


async def stream(front: Front, asked: Asked) -> web.StreamResponse:
    return await front.stream.stream(asked.request)


async def openapi(front: Front, asked: Asked) -> web.Response:
    return as_json(front.describe())


async def asyncapi_document(front: Front, asked: Asked) -> web.Response:
    settings = front.floor.settings
    return as_json(asyncapi(settings.public_url, settings.bus.exchange))


async def schema(front: Front, asked: Asked) -> Data:
    """Raises Missing."""
    if (found := schema_of(asked.values["type"], front.floor.settings.public_url)) is None:
        raise Missing(f"no event type {asked.values['type'][:200]}; there are {', '.join(sorted(KINDS))}")
    return found


ENDPOINTS: tuple[Endpoint[Front], ...] = (
    Endpoint(
        "GET", "/api/v1/status", "What goes on, what is broken, what is paused", read(status.status),
        tag="reading", answer=answers.Status,
    ),
    Endpoint(
        "GET", "/api/v1/streams", "Streams, their newest branches, when the next is due", read(status.streams),
        tag="reading", answer=answers.Streams,
    ),
    Endpoint(
        "GET", "/api/v1/contest", "Results, one row a test", read(contest.contest),
        tag="reading", answer=answers.Contest, query=CONTEST,
    ),
    Endpoint(
        "GET", "/api/v1/flakes", "Tests that flaked or failed in this week or the last, with rates",
        read(flakes.flakes), tag="reading", answer=answers.Flakes, query=AMONG,
    ),
    Endpoint(
        "GET", "/api/v1/matrix", "What tests that were not steady came to on the newest branches",
        read(matrix.matrix), tag="reading", answer=answers.Matrix, query=MATRIX,
    ),
    Endpoint(
        "GET", "/api/v1/test", "The history of one test", read(test.test_history),
        tag="reading", answer=answers.History, query=HISTORY, statuses=(404,),
    ),
    Endpoint(
        "GET", "/api/v1/crashes", "Crashes of the last weeks", read(crash.crashes),
        tag="reading", answer=answers.Crashes,
    ),
    Endpoint(
        "GET", "/api/v1/crash", "Where one crash was seen", read(crash.crash), tag="reading", answer=answers.Crash,
        query=(Parameter("title", Crash, "Its fingerprint.", example="WARNING in foo", required=True),),
        statuses=(404,),
    ),
    Endpoint(
        "GET", "/api/v1/compare", "What differs between two branches, or two labs on one branch",
        read(compare.compare), tag="reading", answer=answers.Compare, query=COMPARE, statuses=(404,),
    ),
    Endpoint(
        "GET", "/api/v1/mine", "Series of one author or for one maintainer, and what they wait for", read(mine.mine),
        tag="reading", answer=answers.Mine, query=MINE,
    ),
    Endpoint(
        "GET", "/api/v1/branches", "Branches, newest first", read(branches.branches),
        tag="reading", answer=answers.Branches, query=(PROJECT, STREAM, BEFORE, LIMIT),
    ),
    Endpoint(
        "GET", "/api/v1/branches/{name}", "One branch: what is on it, what was left out, its runs",
        read(branches.branch), tag="reading", answer=answers.Branch, parts=(BRANCH,),
    ),
    Endpoint(
        "GET", "/api/v1/series", "Series, newest first", read(series.series_list),
        tag="reading", answer=answers.SeriesList, query=(PROJECT, Parameter("state", Text), BEFORE, LIMIT),
    ),
    Endpoint(
        "GET", "/api/v1/series/{key:.+}/checks/{context}/{patch}",
        "One check of one patch of a series, or of the series as a whole (0): what it said and found",
        read(checks.check), tag="reading", answer=answers.Check,
        parts=(Parameter("key", Text, example="1"), CHECK, OF_PATCH),
    ),
    Endpoint(
        # What ends in /recheck takes POST alone (`recheck.py`); GET here would be told in its Allow.
        "GET", "/api/v1/series/{key:.+(?<!/recheck)}", "One series, by number or by the message id of any of its mails",
        read(series.series), tag="reading", answer=answers.Series, parts=(Parameter("key", Text, example="1"),),
    ),
    Endpoint(
        "GET", "/api/v1/runs/{id}", "One run with its tests", read(runs.run),
        tag="reading", answer=answers.Run, parts=(RUN,),
    ),
    Endpoint(
        "GET", "/api/v1/runs/{id}/cases", "The cases of a run, by key", read(runs.cases),
        tag="reading", answer=answers.Cases, parts=(RUN,),
        query=(Parameter("after", After, "`next` of the page before."), LIMIT),
    ),
    Endpoint(
        "GET", "/api/v1/remotes", "Remotes: how each stands", read(remotes.remotes),
        tag="reading", answer=answers.Remotes,
    ),
    Endpoint(
        "GET", "/api/v1/remotes/{name}", "One remote: its executors, what runs, what was rejected",
        read(remotes.remote), tag="reading", answer=answers.Remote, parts=(REMOTE,), query=(BEFORE, LIMIT),
        description="With a token of that remote, or an admin's, `private` says why, and when its tokens end.",
    ),
    Endpoint(
        "GET", "/api/v1/remotes/{name}/rejections", "What of a remote was rejected and why, for its owner",
        read(remotes.rejections), tag="reading", answer=answers.Rejections, parts=(REMOTE,), query=(BEFORE, LIMIT),
        statuses=(401, 403),
    ),
    Endpoint(
        "GET", "/branches.json", "Branches that may be fetched, as NIPA's executors read them", nipa_branches,
        tag="NIPA", answer=list[dict[str, str]],
    ),
    Endpoint(
        "GET", "/query/branches", "The same", nipa_branches, tag="NIPA", answer=list[dict[str, str]],
    ),
    Endpoint(
        "GET", "/api/v1/events", "The log of events: a page, or a long poll", events,
        tag="events", answer=answers.Events, query=(
            *FILTERS, Parameter("wait", Wait, "Seconds to wait for an event, 60 at most.", form=SECONDS), LIMIT,
        ), headers=LAST_ID, gives=("application/json", "text/event-stream"), patient=True, strict=True,
        description="With `Accept: text/event-stream` it is the stream.",
    ),
    Endpoint(
        "GET", "/api/v1/events/stream", "Events as they happen (SSE)", stream,
        tag="events", query=(*FILTERS, Parameter("wait", Wait, "Seconds after which the stream ends.", form=SECONDS)),
        headers=LAST_ID, gives=("text/event-stream",), patient=True, strict=True,
        description="Each event's `id` is a cursor. `event: gap` says that events before the next one are lost.",
    ),
    Endpoint(
        "GET", "/api/v1/asyncapi.json", "Events, and all ways to get them, as AsyncAPI 3", asyncapi_document,
        tag="documents", answer=dict[str, Any],
    ),
    Endpoint(
        "GET", "/api/v1/schemas/{type}.json", "The JSON Schema of one type of event, or of the `envelope`", schema,
        tag="documents", answer=dict[str, Any], parts=(Parameter("type", Text, example="dev.netci.branch.cut.v1"),),
    ),
    Endpoint(
        "GET", "/api/v1/openapi.json", "This document", openapi, tag="documents", answer=dict[str, Any],
    ),
)  # fmt: skip
