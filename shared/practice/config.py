"""The configuration of a practice netci as tables: a project of two trees with one stream, tested by one executor.

A stage takes the tables, changes in them what is otherwise with it, and writes them as TOML. It refuses to know what
keys there are and which values are allowed: that is for netci to say, which reads the file.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.practice.hosts import Fleet

Tables = dict[str, Any]
"""The file as it will be read: by key a value, a list, a table, or a list of tables."""

_PROJECT: Mapping[str, Any] = {
    "post": "on",
    "patchwork": {"project": "netdevbpf", "poll": "1s"},
    "triage": {"preset": "netdev"},
    "trees": {"net-next": {"tags": ["net-next"]}, "net": {"tags": ["net"], "kind": "fixes"}},
    "streams": {"net-next": {"tree": "net-next", "merge": ["net"], "every": "52w"}},
}
"""Branches are cut by hand: the clock comes to its slot once a year."""


def a_project(*, patchwork: str, trees: Mapping[str, Tables], stream: Tables) -> Tables:
    """The tables of the project netdev: where its Patchwork and trees are, and what its stream needs besides."""
    project = copy.deepcopy(dict(_PROJECT))
    project["patchwork"]["url"] = patchwork
    for name, tree in trees.items():
        project["trees"][name] |= tree
    project["streams"]["net-next"] |= stream
    return {"projects": {"netdev": project}}


def on_practice_servers(*, patchwork: str, tree: str, fleet: Fleet, push: str, public: str) -> Tables:
    """The project on practice servers, one bare repository being both trees, and its tests on practice hosts."""
    stream = {"push": push, "public": public, "context": "contest", "skips": "ignore"}
    trees = {"net-next": {"git": tree, "branch": "main"}, "net": {"git": tree, "branch": "net"}}
    tables = a_project(patchwork=patchwork, trees=trees, stream=stream)
    tables["projects"]["netdev"]["patchwork"]["token_env"] = "NETCI_PATCHWORK_TOKEN"
    tables["projects"]["netdev"]["checking"] = {"use": list(CHECKS)}
    tables["disk"] = {"free": 0}
    tables["remotes"] = [{"name": "metal", "report": True}]
    tables["executors"] = [_executor(fleet)]
    return tables


CHECKS = ("series_format", "fixes_present", "verify_signedoff", "verify_fixes")
"""Checks that the practice tree has all for: mails and git, no compiler and none of the kernel's scripts."""

GUEST = "guest"
"""A remote that has no executor of ours: whoever has a token for it takes part."""


def for_a_guest(listen: str, fleet: Fleet) -> Tables:
    """A lab's configuration (`netci remote`) on practice hosts; its token and its spool are where it is started."""
    lab = {"server": f"http://{listen}", "token_file": "token", "data": "spool", "free": 0}
    return lab | {"executors": [_bench("lab-net", fleet)]}


def _executor(fleet: Fleet) -> Tables:
    return {"remote": "metal"} | _bench("vmksft-net", fleet)


def _bench(name: str, fleet: Fleet) -> Tables:
    keys = {"key_file": str(fleet.key_file), "known_hosts": str(fleet.known_hosts)}
    return {
        "name": name,
        "streams": ["net-next"],
        "retries": 1,
        "deadline": "60m",
        "suite": {"kind": "kselftest", "targets": ["net"]},
        "driver": {"kind": "ssh", "hosts": list(fleet.addresses), **keys},
    }


# As a file


def toml(tables: Mapping[str, Any]) -> str:
    """The tables as TOML; read again it is the same."""
    return "".join(f"{line}\n" for line in _lines("", tables))


def _lines(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Plain values first: what follows a table's head belongs to it."""
    for key, value in table.items():
        if not _tables_in(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        where = f"{path}{_key(key)}"
        for one in _tables_in(value):
            yield f"[{where}]" if isinstance(value, Mapping) else f"[[{where}]]"
            yield from _lines(f"{where}.", one)


def _tables_in(value: object) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        return [value]
    return value if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value) else []


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _value(text)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # JSON writes texts, whole numbers, true and false as TOML does, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
