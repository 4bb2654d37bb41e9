"""The memory of a practice Patchwork as JSON and back, so that a demo can stop it and start it again where it was."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.practice.patchwork import records
from shared.practice.patchwork.state import TABLES, Patchwork

KINDS: dict[str, type[Any]] = {
    "users": records.User,
    "projects": records.Project,
    "people": records.Person,
    "patches": records.Patch,
    "covers": records.Cover,
    "series": records.Series,
    "patch_comments": records.Comment,
    "cover_comments": records.Comment,
    "checks": records.Check,
}


def dump(pw: Patchwork) -> dict[str, Any]:
    """Plain values for `json`; the faults are not part of it."""
    tables: dict[str, Any] = {name: [asdict(row) for row in getattr(pw, name).values()] for name in TABLES}
    references = [[project, msgid, series] for (project, msgid), series in pw.references.items()]
    events = [asdict(event) for event in pw.events]
    return tables | {"events": events, "references": references, "last_ids": dict(pw.last_ids)}


def load(pw: Patchwork, saved: dict[str, Any]) -> None:
    """Replace what `pw` remembers."""
    for name, kind in KINDS.items():
        setattr(pw, name, {row["id"]: _record(kind, row) for row in saved[name]})
    pw.events = [_record(records.Event, row) for row in saved["events"]]
    pw.references = {(project, msgid): series for project, msgid, series in saved["references"]}
    pw.last_ids.clear()
    pw.last_ids.update(saved["last_ids"])
    pw.reindex()


def _record(kind: type[Any], row: dict[str, Any]) -> Any:
    if isinstance(row.get("date"), str):
        row = row | {"date": datetime.fromisoformat(row["date"])}
    return kind(**row)


def save(pw: Patchwork, path: Path) -> None:
    """Write it whole, or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(dump(pw), default=datetime.isoformat))
    os.replace(new, path)


def restore(pw: Patchwork, path: Path) -> None:
    load(pw, json.loads(path.read_text()))
