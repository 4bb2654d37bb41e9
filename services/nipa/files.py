"""A NIPA installation by its files: results as its executors, collector or ``/query/results`` write them."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from services.nipa.account import Account
from services.nipa.found import FoundBranch, FoundRun
from shared.errors import Refused
from shared.formats.reported import name_of, time_of

Place = tuple[Path, int | None]
"""A file, and the place in its list; None for a file that is one run."""


def read_json(path: Path) -> Any:
    """Raises Refused."""
    try:
        return json.loads(path.read_bytes())
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise Refused(f"{path}: no JSON: {str(exc)[:200]}") from exc


class Files:
    """See `Source`. Result files are read twice: once to see what is where, once branch by branch."""

    def __init__(
        self, results: Sequence[Path], branches: Path | None, infos: Path | None, stability: Path | None,
        devices: Path | None, account: Account,
    ) -> None:  # fmt: skip
        self._results = results
        self._lists = (branches, infos)
        self._tables = (stability, devices)
        self._account = account
        self._places: dict[str, list[tuple[Place, str]]] = defaultdict(list)
        self._parsed = lru_cache(maxsize=4)(read_json)

    async def branches(self) -> Mapping[str, FoundBranch]:
        """Raises Refused."""
        listed, infos = self._lists
        rows = {name_of(row.get("branch")): row for row in await asyncio.to_thread(_table, listed)}
        said = _mapping(await asyncio.to_thread(read_json, infos) if infos else None)
        return {name: _branch(name, rows.get(name, {}), said.get(name)) for name in {*rows, *said} - {""}}

    async def names(self) -> list[str]:
        for path in [file for place in self._results for file in _files(place)]:
            await asyncio.to_thread(self._look, path)
        return list(self._places)

    def _look(self, path: Path) -> None:
        try:
            value = read_json(path)
        except Refused as exc:
            self._account.leave("files", "cannot be read as JSON", str(exc))
            return
        rows = [(None, value)] if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
        if not rows:
            self._account.leave("files", "holds no results", str(path))
        for index, row in rows:
            self._look_at(path, index, row)

    def _look_at(self, path: Path, index: int | None, row: Any) -> None:
        branch = name_of(row.get("branch")) if isinstance(row, dict) else ""
        if not branch:
            self._account.leave("files" if index is None else "runs", "is no run: it has no branch", str(path))
        elif not _has_results(row):
            why = "is pending" if row.get("results", row.get("url")) is None else "only names a file with results"
            self._account.leave("runs", why, branch)
        else:
            remote = name_of(row.get("remote")) or path.parent.name
            self._places[branch].append(((path, index), remote))

    async def runs(self, branch: str) -> AsyncIterator[FoundRun]:
        for (path, index), remote in self._places[branch]:
            row = await asyncio.to_thread(self._parsed, path)
            yield _found(row if index is None else row[index], branch, remote, path)

    async def stability(self) -> list[Mapping[str, Any]]:
        return await asyncio.to_thread(_table, self._tables[0])

    async def devices(self) -> list[Mapping[str, Any]]:
        return await asyncio.to_thread(_table, self._tables[1])


def _branch(name: str, row: Mapping[str, Any], info: Any) -> FoundBranch:
    date, base = time_of(row.get("date") or row.get("t_date")), name_of(row.get("base"))
    return FoundBranch(name, date, base, name_of(row.get("url")), _mapping(info))


def _has_results(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("results"), list) or any(row.get(key) for key in ("json_full", "json_normal"))


def _found(row: Mapping[str, Any], branch: str, remote: str, path: Path) -> FoundRun:
    """A run object, or a row of NIPA's table that holds one."""
    started, ended = time_of(row.get("t_start")), time_of(row.get("t_end"))
    text = row.get("json_full") or row.get("json_normal")
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else json.dumps(row).encode()
    return FoundRun(branch, remote, data, str(path), started, ended)


def _files(place: Path) -> Iterator[Path]:
    """Raises Refused."""
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*.json") if path.is_file())
    elif place.exists():
        yield place
    else:
        raise Refused(f"{place}: there is no such file or folder")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _table(path: Path | None) -> list[Mapping[str, Any]]:
    rows = read_json(path) if path else []
    if not isinstance(rows, list):
        raise Refused(f"{path}: should be a list")
    return [row for row in rows if isinstance(row, dict)]
