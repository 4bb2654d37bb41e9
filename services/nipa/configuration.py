"""NIPA's configuration as ours: its INI files, `remote_db` and `filters.json` become a piece of TOML to paste.

Pure. What has no equal here is said, key by key; secrets are never copied.
"""

import json
import re
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass, field
from typing import Any

from services.nipa.account import Account

Ini = Mapping[str, Mapping[str, str]]

_BAD_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_ELSEWHERE: Mapping[str, str] = {
    "executor": "is for executors: docs/how-to/add-a-suite.md",
    "vm": "is for executors: docs/how-to/add-a-driver.md",
    "ksft": "is for executors: docs/how-to/add-a-suite.md",
    "hw": "is for executors: docs/how-to/add-a-driver.md",
    "remote": "is for executors, which may go on unchanged and poll our branches.json",
    "log": "is not needed: logs go to standard error",
    "dirs": "is not needed: everything is below `data`",
    "life": "is not needed: services are restarted by whoever runs them",
    "db": "is not needed here: give --dsn to import what is in it",
    "input": "is not needed: what was passed on in files is in the database",
    "output": "is not needed: what was passed on in files is in the database",
}
_NOT_HERE = "has no equal here"
_NO_LIST = "results are ignored by no list here"
_SECRET = "is a secret: put it into a file or the environment and name that (token_file, token_env)"


@dataclass
class Given:
    """What NIPA's configuration says that we have a word for."""

    patchwork: dict[str, Any] = field(default_factory=dict)
    trees: dict[str, dict[str, Any]] = field(default_factory=dict)
    stream: dict[str, Any] = field(default_factory=dict)
    stream_name: str = ""
    pulls: list[str] = field(default_factory=list)
    remotes: dict[str, str] = field(default_factory=dict)
    reporting: list[str] = field(default_factory=list)


def read_ini(text: str, source: str, account: Account) -> Ini:
    """The sections of one file."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text, source)
    except IniError as exc:
        account.leave("files", "is no INI file", f"{source}: {str(exc).splitlines()[0][:150]}")
    return {section: dict(parser.items(section)) for section in parser.sections()}


def read_configuration(files: Iterable[Ini], given: Given, account: Account) -> None:
    for ini in files:
        for section, keys in ini.items():
            for key, value in keys.items():
                if _take(section, key, value.strip(), given, account):
                    account.taken["settings"] += 1


def _take(section: str, key: str, value: str, given: Given, account: Account) -> bool:
    """Whether this key has a place here."""
    match section, key:
        case "patchwork", "token":
            account.leave("settings", _SECRET, "[patchwork] token")
            return False
        case "patchwork", "server":
            given.patchwork["url"] = value if "//" in value else f"https://{value}"
        case "patchwork", "project":
            given.patchwork["project"] = value
        case "patchwork", "user-agent":
            given.patchwork["user_agent"] = value
        case "filters", "ignore_delegate":
            given.patchwork["ignore_delegates"] = _list(value)
        case "trees", name:
            _take_tree(_name(name), value, given, account)
        case "target", "push_url":
            given.stream["push"] = value
        case "target", "public_url":
            given.stream["public"] = value
        case "target", "branch_pfx":
            given.stream_name = _name(value.rstrip("-"))
        case "target", "freq" if value.isdigit():
            given.stream["every"] = f"{int(value)}h"
        case "target", "pull":
            given.pulls = _list(value)
        case "local", "patches":
            given.stream["patches"] = _list(value)
        case "filters", "gate_checks":
            account.leave(
                "settings", "names checks: set `checking` of the project, then `gate` of the stream", f"{key}={value}"
            )
            return False
        case _:
            account.leave("settings", _ELSEWHERE.get(section, _NOT_HERE), f"[{section}] {key}")
            return False
    return True


def _take_tree(name: str, value: str, given: Given, account: Account) -> None:
    """``prefix, path, remote[, branch]``: where the tree comes from is known to git alone."""
    prefix, _, _, branch = [*(part.strip() for part in value.split(",")), "", "", "", ""][:4]
    given.trees[name] = {"git": f"https://git.example.org/{name}.git", "tags": [prefix or name]}
    if branch:
        given.trees[name]["branch"] = branch
    account.leave("settings", "has its address in git's own configuration: set `git` yourself", f"[trees] {name}")


def read_remotes(rows: Any, given: Given, account: Account) -> None:
    """`remote_db`: a list of {name, url}."""
    for row in rows if isinstance(rows, list) else []:
        name, url = (row.get("name"), row.get("url")) if isinstance(row, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(url, str) or not url.startswith(("http://", "https://")):
            account.leave("remotes", "has no name or no http address", str(row)[:100])
            continue
        given.remotes[_name(name)] = url
        account.taken["remotes"] += 1


def read_filters(value: Any, given: Given, account: Account) -> None:
    """`filters.json`."""
    filters = value if isinstance(value, dict) else {}
    given.reporting = [_name(name) for name in filters.get("remotes", ()) if isinstance(name, str)]
    account.taken["filters"] += len(given.reporting)
    for key in ("ignore-results", "ignore-crashes", "crash-prefix-skip"):
        why = "is a pattern of an executor's crash_ignore here" if key == "ignore-crashes" else _NO_LIST
        for row in filters.get(key, ()):
            account.leave("filters", f"{key}: {why}", json.dumps(row)[:150])


def toml(given: Given, project: str) -> str:
    """The piece to paste, "" for nothing."""
    pieces = []
    if given.patchwork:
        required = {"url": "https://patchwork.kernel.org", "project": "netdevbpf"} | given.patchwork
        pieces.append(_table(f"[projects.{project}.patchwork]", required))
    pieces += [_table(f"[projects.{project}.trees.{name}]", tree) for name, tree in given.trees.items()]
    if given.stream_name:
        pieces.append(_table(f"[projects.{project}.streams.{given.stream_name}]", _stream(given)))
    for name in sorted({*given.remotes, *given.reporting}):
        url = {"manifest": given.remotes[name]} if name in given.remotes else {}
        pieces.append(_table("[[remotes]]", {"name": name, "report": name in given.reporting} | url))
    return "\n".join(pieces)


def _stream(given: Given) -> dict[str, Any]:
    """NIPA's last tree is the one that branches begin from; what it pulls are addresses, of trees if we know them."""
    tree = [*given.trees, given.stream_name][-1] if given.trees else given.stream_name
    pulled = [pull.rsplit("/", 1)[-1].removesuffix(".git").split(" ")[0] for pull in given.pulls]
    merge = [name for name in pulled if name in given.trees and name != tree]
    return {"tree": tree} | ({"merge": merge} if merge else {}) | {"push": given.stream.get("push", "")} | given.stream


def _table(head: str, values: Mapping[str, Any]) -> str:
    # JSON's strings, lists and booleans are TOML's as well.
    return "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())]) + "\n"


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _name(text: str) -> str:
    """A name that our configuration can hold."""
    return _BAD_NAME.sub("-", text.strip()).lstrip("-._")[:100] or "unnamed"
