"""The workflow that we hand out: it is YAML, its calls are those of the API, and the token is kept apart."""

import re
from typing import Any

import pytest
import yaml

from services.ingest.api import ENDPOINTS
from services.report.hooks.api import ENDPOINTS as HOOKS
from services.report.web.app import PAGES, described
from shared.web.openapi import Endpoint
from tests.house.files import ROOT

FILE = ROOT / "docs/examples/github-actions-remote.yml"
HOW_TO = ROOT / "docs/how-to/run-a-remote.md"


def workflow() -> dict[Any, Any]:
    loaded = yaml.safe_load(FILE.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps() -> list[dict[str, Any]]:
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


def calls(text: str) -> list[tuple[str, str, str]]:
    """(method, path, query) of each call of curl in a shell text, variables of the path as ``{x}``."""
    found = []
    for command in re.split(r"(?<!\\)\n|\||;|\bif\b|\$\(", text.replace("\\\n", " ")):
        words = re.search(r'\bcurl\b.*"\$NETCI(/[^"\s?]*)(?:\?([^"]*))?"', command)
        if words is None:
            continue
        posts = re.search(r" (-d|--data-binary) ", command)
        named = re.search(r" -X (\w+)", command)
        method = named[1] if named else "PUT" if " -T " in command else "POST" if posts else "GET"
        found.append((method, re.sub(r"\$\w+", "{x}", words[1]), words[2] or ""))
    return found


def known(method: str, path: str) -> bool:
    """Whether a path of the API answers this."""
    tables: tuple[Endpoint[Any], ...] = (*ENDPOINTS, *HOOKS, *described())
    templates = [(e.method, e.template) for e in tables]
    templates += [("GET", page) for page, _, _ in PAGES]
    return any(method == m and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", t), path) for m, t in templates)


def test_it_is_a_workflow_that_may_be_called_and_scheduled() -> None:
    loaded = workflow()
    # YAML 1.1 reads the key `on` as true; GitHub does not.
    triggers = loaded["on"] if "on" in loaded else loaded[True]
    assert {"schedule", "workflow_dispatch", "workflow_call"} <= triggers.keys()
    assert loaded["permissions"] == {"contents": "read"}
    for job in loaded["jobs"].values():
        assert job["timeout-minutes"] <= 170
        assert all("run" in step for step in job["steps"])


def test_its_calls_are_those_of_the_api() -> None:
    made = [call for step in steps() for call in calls(step["run"])]
    assert len(made) == 3
    assert [call for call in made if not known(call[0], call[1])] == []


def test_what_it_asks_in_the_query_is_read() -> None:
    [query] = [q for step in steps() for m, p, q in calls(step["run"]) if p == "/api/v1/lab/results"]
    endpoint = next(e for e in ENDPOINTS if e.template == "/api/v1/lab/results")
    names = {pair.partition("=")[0] for pair in query.split("&")}
    assert names <= {p.name for p in endpoint.query}
    assert {"format", "branch", "executor"} <= names


def test_the_token_is_in_the_step_that_posts_and_in_no_other() -> None:
    holding = [step["name"] for step in steps() if "secrets." in str(step)]
    assert holding == ["Post what it said"]
    assert all("secrets." not in str(job.get("env", "")) for job in workflow()["jobs"].values())
    assert "${{" not in "".join(step["run"] for step in steps())


@pytest.mark.parametrize("block", re.findall(r"```sh\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL))
def test_the_calls_of_the_how_to_are_those_of_the_api(block: str) -> None:
    assert [call for call in calls(block) if not known(call[0], call[1])] == []
