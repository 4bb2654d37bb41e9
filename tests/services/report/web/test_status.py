"""What the status page decides by itself."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.report.web.status import disk, word_of

NOW = datetime(2026, 11, 23, 10, 17, tzinfo=UTC)


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
