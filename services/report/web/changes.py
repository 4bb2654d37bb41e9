"""What is new on a branch against another: its trees, and the series on it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.report.web.store import Row


def series_changes(rows: Iterable[Row], now: int, then: int | None) -> dict[str, list[Row]]:
    """Series that came, went and stayed, of rows of the cuts `now` and `then`. What went and was accepted is in the
    base by now.
    """
    kept = list(rows)
    are = [row for row in kept if row["cut_id"] == now]
    were = [row for row in kept if row["cut_id"] == then]
    before, after = {row["id"] for row in were}, {row["id"] for row in are}
    return {
        "came": [row for row in are if row["id"] not in before],
        "went": [row for row in were if row["id"] not in after],
        "stayed": [row for row in are if row["id"] in before],
    }


def base_changes(now: Mapping[str, Any], then: Mapping[str, Any] | None) -> list[Row]:
    """The trees under a branch, each with its commit of now and of then; "" is unknown."""
    heads = {m["tree"]: m["head"] for m in then["merges"]} if then else {}
    merged = [{"tree": m["tree"], "head": m["head"], "then": heads.get(m["tree"], "")} for m in now["merges"]]
    return [{"tree": "base", "head": now["base"], "then": then["base"] if then else ""}, *merged]
