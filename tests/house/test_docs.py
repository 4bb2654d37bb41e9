"""The docs name what exists: links lead somewhere, pages are fresh, racks have a how-to, ADRs their three parts."""

import json
import re
from pathlib import Path

import pytest

from shared.events import EVENTS
from shared.events.asyncapi import document as asyncapi
from shared.events.document import document
from tests.house.files import FOLDERS, ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
ADRS = sorted((ROOT / "docs/adr").glob("*.md"))
RACKS = {
    "check": "executor/checks",
    "driver": "executor/drivers",
    "suite": "executor/suites",
    "source": "ingest/sources",
    "channel": "report/channels",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_page_is_reached_from_the_index_or_the_readme(page: Path) -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    assert page.name in index


def test_the_page_of_events_is_fresh() -> None:
    assert (ROOT / "docs/events.md").read_text("utf-8") == document(), (
        "run: python -m shared.events.document > docs/events.md"
    )


def test_the_asyncapi_document_is_fresh() -> None:
    assert json.loads((ROOT / "docs/asyncapi.json").read_text("utf-8")) == asyncapi(), (
        "run: python -m shared.events.asyncapi > docs/asyncapi.json"
    )


def test_every_event_has_its_heading() -> None:
    headings = re.findall(r"^## (\w+)$", document(), re.MULTILINE)
    assert [event.__name__ for event in EVENTS if event.__name__ not in headings] == []


@pytest.mark.parametrize("rack", sorted(RACKS))
def test_every_rack_has_a_how_to_that_names_its_folder(rack: str) -> None:
    assert f"{RACKS[rack]}" in (ROOT / f"docs/how-to/add-a-{rack}.md").read_text("utf-8")
    assert (ROOT / "services" / RACKS[rack] / "base.py").is_file()


def test_adrs_are_numbered_without_a_gap() -> None:
    assert [path.name[:4] for path in ADRS] == [f"{number:04}" for number in range(1, len(ADRS) + 1)]


@pytest.mark.parametrize("path", ADRS, ids=name)
def test_an_adr_is_one_page_of_context_choice_and_price(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Price"]
    assert len(text.split()) < 450


def test_the_readme_has_the_rooms_and_both_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert all(f"`services/{room}/`" in text for room in FOLDERS)
    assert "make demo" in text
    assert "make test" in text


def test_commands_in_the_docs_exist() -> None:
    from services.__main__ import parser

    known = set(next(a for a in parser()._actions if a.dest == "command").choices or {})
    used = {
        word
        for page in PAGES
        for word in re.findall(r"(?:^|`)(?:\$ )?netci ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert used - known == set()


def test_make_targets_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    used = {
        word for page in PAGES for word in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert [word for word in used if not re.search(rf"^{word}:", makefile, re.MULTILINE) and word not in NOT_OURS] == []


NOT_OURS = {"install"}
