"""What the pages of histories say of forty branches."""

from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx
import pytest

from services.report.store import ReportStore
from tests.services.report.web.history.builders import Past, a_run, name_of
from tests.services.report.web.history.conftest import CRASH, Weeks

ATOM = "{http://www.w3.org/2005/Atom}"


async def ask(weeks: Weeks, path: str, **query: str) -> Any:
    async with httpx.AsyncClient(base_url=weeks.url) as http:
        answer = await http.get(path, params=query or None)
    assert answer.status_code == 200, answer.text
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


async def test_a_series_is_told_which_failures_are_likely_its_own(weeks: Weeks) -> None:
    blame = (await ask(weeks, f"/series/{weeks.jane}.json"))["blame"]
    assert blame["sentence"] == "1 of 2 failures is likely from this series."
    assert [(f["test"], f["blame"]) for f in blame["failures"]] == [("gro.sh", "likely"), ("psp.py", "unlikely")]
    assert blame["failures"][0]["text"] == (
        "it failed on each of the 2 branches with this series, and on none of the 38 branches without it"
    )
    assert blame["failures"][1]["text"] == (
        f"it failed on 4 of 38 branches without this series, too, the newest {name_of(37)}"
    )
    page = await ask(weeks, f"/series/{weeks.jane}")
    assert "Was it this series?" in page
    assert "netci repro" in page


async def test_a_series_that_is_always_there_is_told_that_nobody_can_tell(weeks: Weeks) -> None:
    blame = (await ask(weeks, f"/series/{weeks.other}.json"))["blame"]
    assert blame["sentence"] == "There are too few branches to tell whether 2 of 2 failures are from this series."


async def test_versions_before_are_not_branches_without_the_series(weeks: Weeks) -> None:
    await weeks.owner.execute("update ingest.series set supersedes = $2 where id = $1", weeks.jane, weeks.other)
    blame = (await ask(weeks, f"/series/{weeks.jane}.json"))["blame"]
    assert {f["blame"] for f in blame["failures"]} == {"unknown"}


async def test_flaky_tests_are_ranked_with_a_rate(weeks: Weeks) -> None:
    rows = (await ask(weeks, "/flakes.json"))["rows"]
    assert [(r["test"], r["flakes"], r["fails"]) for r in rows] == [("tls", 5, 1), ("psp.py", 0, 6), ("gro.sh", 0, 2)]
    assert rows[0]["rate"]["text"] == "12 % (5 to 26)"
    assert sum(week["flakes"] for week in rows[0]["weeks"]) == 5
    assert [r["test"] for r in (await ask(weeks, "/flakes.json", needle="PSP"))["rows"]] == ["psp.py"]
    assert (await ask(weeks, "/flakes.json", remote="lab-x"))["rows"] == []
    assert (await ask(weeks, "/flakes.json", **{"pw-y": "0"}))["rows"] == []


async def test_the_matrix_has_a_row_a_test_and_a_column_a_branch(weeks: Weeks) -> None:
    found = await ask(weeks, "/matrix.json", **{"br-cnt": "40"})
    assert [b["name"] for b in found["branches"]] == [name_of(n) for n in reversed(range(40))]
    assert [(r["test"], r["flips"], r["streak"]) for r in found["rows"]] == [
        ("tls", 10, 0), ("psp.py", 1, 0), ("gro.sh", 1, 0),
    ]  # fmt: skip
    cells = {r["test"]: [c["outcome"] for c in r["cells"]] for r in found["rows"]}
    assert cells["tls"][:3] == ["flaky", "fail", "pass"]
    assert cells["gro.sh"] == ["fail"] * 2 + ["pass"] * 38
    assert "✗" in await ask(weeks, "/matrix")


async def test_links_of_nipa_lead_to_the_matrix_with_their_filters(weeks: Weeks) -> None:
    page = await ask(weeks, "/flakes.html", **{"tn-needle": "psp", "min-flip": "0", "br-cnt": "4", "pw-n": "0"})
    assert "psp.py" in page
    assert "gro.sh" not in page
    assert 'name="br-cnt" value="4"' in page
    # It failed on all four: no flip.
    assert "psp.py" not in await ask(weeks, "/flakes.html", **{"tn-needle": "psp", "br-cnt": "4"})


async def test_the_history_of_a_test_says_since_when_it_fails(weeks: Weeks) -> None:
    found = await ask(weeks, "/test.json", group="selftests-net", test="psp.py")
    assert found["sentence"] == "It fails now in metal/vmksft-net."
    (stand,) = found["labs"][0]["stands"]
    assert stand["text"].startswith(f"fails since {name_of(34)} (6 runs, ")
    assert stand["text"].endswith(f"; it passed last on {name_of(33)}")
    assert [o["outcome"] for o in found["labs"][0]["outcomes"]][:7] == ["fail"] * 6 + ["pass"]
    page = await ask(weeks, "/test", group="selftests-net", test="psp.py")
    assert 'class="chart"' in page
    assert found["labs"][0]["fail_rate"] == "15 % (7 to 29)"


async def test_the_turn_is_found_beyond_what_is_shown(weeks: Weeks) -> None:
    found = await ask(weeks, "/test.json", group="selftests-net", test="psp.py", runs="2")
    assert len(found["labs"][0]["outcomes"]) == 2
    assert f"fails since {name_of(34)}" in found["labs"][0]["stands"][0]["text"]
    always = await ask(weeks, "/test.json", group="selftests-net", test="udpgso.sh")
    assert always["labs"][0]["stands"][0]["text"] == f"passes on all of the 40 runs looked at, back to {name_of(0)}"


async def test_a_crash_is_shown_wherever_it_was_seen(weeks: Weeks) -> None:
    (one,) = (await ask(weeks, "/crashes.json"))["crashes"]
    assert (one["crash"], one["seen"], one["branches"], one["labs"]) == (CRASH, 2, 2, ["metal/vmksft-net"])
    found = await ask(weeks, "/crash.json", title=CRASH)
    assert [s["branch"] for s in found["seen"]] == [name_of(39), name_of(38)]
    assert "Seen 2 times, on 2 branches in 1 lab" in await ask(weeks, "/crash", title=CRASH)


async def test_an_author_sees_each_series_with_what_it_waits_for(weeks: Weeks) -> None:
    (one,) = (await ask(weeks, "/mine.json", who="JANE@example.org"))["series"]
    assert (one["id"], one["verdict"]) == (weeks.jane, "pending")
    assert one["sentence"].startswith("It applies to net-next; contest is pending")
    assert not one["new"]
    (again,) = (await ask(weeks, "/mine.json", who="jane@example.org", since="2026-01-01T00:00:00Z"))["series"]
    assert again["new"]
    assert (await ask(weeks, "/mine.json", who="nobody@example.org"))["series"] == []
    assert "Give the address" in await ask(weeks, "/mine")


@pytest.mark.parametrize("path", ["/mine.atom?who=jane@example.org", "/branches.atom?stream=net-next",
                                  "/test.atom?group=selftests-net&test=tls", "/series/{jane}.atom"])  # fmt: skip
async def test_feeds_are_atom_with_ids_that_stay(weeks: Weeks, path: str) -> None:
    text = await ask(weeks, path.format(jane=weeks.jane))
    feed = fromstring(text)
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    assert entries
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids)
    assert fromstring(await ask(weeks, path.format(jane=weeks.jane))).findall(f"{ATOM}entry")[0].findtext(
        f"{ATOM}id"
    ) == ids[0]  # fmt: skip


async def test_a_feed_of_a_test_has_its_turns_only(weeks: Weeks) -> None:
    feed = fromstring(await ask(weeks, "/test.atom", group="selftests-net", test="psp.py"))
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}title") == "selftests-net/psp.py fails in metal/vmksft-net"


async def test_badges_say_how_it_stands(weeks: Weeks) -> None:
    for path, word in (("/branches.svg?stream=net-next", "red"), (f"/series/{weeks.jane}.svg", "pending"),
                       (f"/branch/{name_of(0)}.svg", "warning"),
                       ("/test.svg?group=selftests-net&test=gro.sh", "fail")):  # fmt: skip
        text = await ask(weeks, path)
        assert f">{word}</text>" in text, path
        assert fromstring(text).tag.endswith("svg")


@pytest.mark.parametrize(("path", "status", "word"), [
    ("/test", 400, "which one"), ("/test?test=nothing", 404, "no branch has a result of nothing"),
    ("/crash", 400, "which crash"), ("/crash?title=BUG", 404, "no branch has seen"),
    ("/mine?who=x&since=yesterday", 400, "since"), ("/matrix?min-flip=many", 400, "min-flip"),
    ("/mine?who=x&state=odd", 400, "state"),
])  # fmt: skip
async def test_what_is_asked_wrongly_is_told(weeks: Weeks, path: str, status: int, word: str) -> None:
    async with httpx.AsyncClient(base_url=weeks.url) as http:
        answer = await http.get(path)
    assert answer.status_code == status
    assert word in answer.text


async def test_two_branches_are_compared_by_tests_series_and_trees(weeks: Weeks) -> None:
    found = await ask(weeks, "/compare.json", after=name_of(38), before=name_of(33))
    assert [(r["test"], r["before"], r["after"], r["change"]) for r in found["rows"]] == [
        ("gro.sh", "pass", "fail", "broke"), ("psp.py", "pass", "fail", "broke"), ("tls", "pass", "fail", "broke"),
    ]  # fmt: skip
    assert found["sentence"] == "Of the tests, 3 began to fail."
    assert [[s["id"] for s in found["series"][kind]] for kind in ("came", "went", "stayed")] == [
        [weeks.jane], [], [weeks.other],
    ]  # fmt: skip
    assert [(t["tree"], t["head"] == t["then"]) for t in found["trees"]] == [("base", True), ("net", True)]
    page = await ask(weeks, "/compare", after=name_of(38), before=name_of(33))
    assert "Of the tests, 3 began to fail." in page
    assert "1 came, 0 went, 1 stayed" in page


async def test_without_another_a_branch_is_compared_with_the_one_before(weeks: Weeks) -> None:
    found = await ask(weeks, "/compare.json", after=name_of(34))
    assert found["before"] == name_of(33)
    assert [(r["test"], r["change"]) for r in found["rows"]] == [("psp.py", "broke")]
    again = await ask(weeks, "/compare.json", after=name_of(33), before=name_of(34))
    assert again["sentence"] == "Of the tests, 1 no longer fail."


async def test_two_labs_are_compared_on_one_branch(weeks: Weeks) -> None:
    past = Past({"gro.sh": "pp", "psp.py": "ff", "only.sh": "pp"}, remote="lab-x", executor="cx7")
    run = await a_run(weeks.owner, weeks.cuts[-1], name_of(39), past, 1, datetime.now(UTC))
    async with weeks.owner.acquire() as conn, conn.transaction():
        await ReportStore().roll_up_run(conn, run)
    found = await ask(weeks, "/compare.json", after=name_of(39), lab="metal/vmksft-net", **{"with": "lab-x/cx7"})
    assert {(r["test"], r["before"], r["after"]) for r in found["rows"]} == {
        ("gro.sh", "fail", "pass"), ("only.sh", None, "pass"), ("tls", "flaky", None), ("udpgso.sh", "pass", None),
        ("xfrm.sh", "skip", None),
    }  # fmt: skip
    assert "lab-x/cx7" in await ask(
        weeks, "/compare", after=name_of(39), lab="metal/vmksft-net", **{"with": "lab-x/cx7"}
    )


@pytest.mark.parametrize(("query", "status", "word"), [
    ("", 400, "which branch"), ("?after=none", 404, "no branch none"),
    (f"?after={name_of(0)}", 400, "first of its stream"),
    (f"?after={name_of(9)}&lab=metal", 400, "remote/executor"),
    (f"?after={name_of(9)}&lab=metal/vmksft-net", 404, "no lab but metal/vmksft-net"),
])  # fmt: skip
async def test_what_cannot_be_compared_is_told(weeks: Weeks, query: str, status: int, word: str) -> None:
    async with httpx.AsyncClient(base_url=weeks.url) as http:
        answer = await http.get(f"/compare{query}")
    assert (answer.status_code, word in answer.text) == (status, True), answer.text
