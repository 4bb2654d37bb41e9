"""What the status page decides by itself."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.report.web.status import disk, hide_addresses, word_of

NOW = datetime(2026, 11, 23, 10, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root@vm1.example.org: refused", "…: refused"),
        ("ssh to 192.0.2.7:22 timed out", "ssh to … timed out"),
        ("[2001:db8::7] is away", "… is away"),
        ("fe80::1 is away", "… is away"),
        ("at 10:17 the disk was full", "at 10:17 the disk was full"),
        ("6.1.0 is too old", "6.1.0 is too old"),
    ],
)
def test_addresses_are_not_shown(text: str, shown: str) -> None:
    assert hide_addresses(text) == shown


def a_run(**more: Any) -> dict[str, Any]:
    run: dict[str, Any] = {
        "id": 1, "state": "done", "cause": "", "plan": "done", "deadline": None, "expected_end": None, "tests": 3,
        "failed": 0,
    }  # fmt: skip
    return run | more


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (a_run(), "pass"),
        (a_run(failed=1), "fail"),
        (a_run(tests=0), "infra"),
        (a_run(tests=None), "done"),
        (a_run(state="open"), "running"),
        (a_run(state="open", expected_end=NOW - timedelta(hours=1)), "late"),
        (a_run(state="abandoned"), "abandoned"),
        (a_run(state="abandoned", cause="infra"), "infra"),
        (a_run(id=None, plan="planned"), "planned"),
        (a_run(id=None, plan="planned", deadline=NOW - timedelta(hours=1)), "late"),
        (a_run(id=None, plan="skipped"), "skipped"),
    ],
)
def test_a_run_in_one_word(run: dict[str, Any], word: str) -> None:
    assert word_of(run, NOW) == word


def test_disk(tmp_path: Path) -> None:
    assert disk(tmp_path / "not" / "there", 0)["low"] is False
    assert disk(tmp_path, 1 << 62)["low"] is True
