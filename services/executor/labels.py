"""What hosts are called where anybody may read: by number, never by address. Pure.

Reasons come from drivers and name the machine, for the operator's log; what goes into tables that pages and events
are made of is passed through here first.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from shared.model.results import Case, Cause

_LOGIN = re.compile(r"[\w.-]+@(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d+)?")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\d)")
SOMEWHERE = "a machine"


def label(address: str, hosts: Sequence[str]) -> str:
    """``host2`` for the second of an executor's hosts."""
    return f"host{hosts.index(address) + 1}" if address in hosts else SOMEWHERE


def hidden(text: str, hosts: Sequence[str]) -> str:
    """`text` with labels for the addresses of `hosts`, and nothing for any other machine's."""
    for address in sorted(hosts, key=len, reverse=True):
        text = text.replace(address, label(address, hosts))
    for address in hosts:
        text = re.sub(rf"(?<![\w.-]){re.escape(_bare(address))}(?![\w.-]*\w)", label(address, hosts), text)
    return _IPV4.sub(SOMEWHERE, _LOGIN.sub(SOMEWHERE, text))


def _bare(address: str) -> str:
    """The host alone: no user, no brackets, no port."""
    host = address.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def public(cases: Sequence[Case], hosts: Sequence[str]) -> list[Case]:
    """What we say of machines names none. What a test says is its own."""
    return [replace(case, detail=hidden(case.detail, hosts)) if case.cause is Cause.INFRA else case for case in cases]
