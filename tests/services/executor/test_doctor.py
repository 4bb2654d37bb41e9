"""The doctor finds what is wrong with each host, and leaves no trace on any."""

import json
from pathlib import Path

from services.executor.doctor import examine
from shared.doctor import Finding
from shared.practice.hosts import Fleet, served_hosts
from shared.settings import Settings, parse
from tests.services.executor.world import TOML

EXECUTOR = """
[[executors]]
remote = "metal"
name = "net"
streams = ["net-next"]
suite = {{ kind = "{kind}", targets = ["net"] }}
driver = {{ kind = "ssh", hosts = {hosts}, key_file = "{key}", known_hosts = "{known}", connect_timeout = "5s" }}
"""


def settings_of(data: Path, fleet: Fleet, kind: str = "kselftest", free: int = 0) -> Settings:
    hosts = json.dumps(list(fleet.addresses))
    executor = EXECUTOR.format(kind=kind, hosts=hosts, key=fleet.key_file, known=fleet.known_hosts)
    return parse(TOML.format(data=data, free=free) + executor)


def of_host(found: list[Finding], address: str) -> Finding:
    return next(finding for finding in found if address in finding.what)


async def test_all_is_well_and_nothing_is_left_on_the_hosts(tmp_path: Path) -> None:
    async with served_hosts(2) as fleet:
        found = await examine(settings_of(tmp_path, fleet))
        assert [finding for finding in found if not finding.ok] == []
        assert all(of_host(found, address).detail for address in fleet.addresses)
        assert [list(host.root.iterdir()) for host in fleet.hosts] == [[], []]


async def test_a_host_that_is_off_or_not_itself_is_named_with_a_cure(tmp_path: Path) -> None:
    async with served_hosts(3) as fleet:
        await fleet.hosts[0].die()
        await fleet.hosts[1].wrong_key()
        found = await examine(settings_of(tmp_path, fleet))
        off, other, well = (of_host(found, address) for address in fleet.addresses)
        assert [off.ok, other.ok, well.ok] == [False, False, True]
        assert "SSH port" in off.mend
        assert "known_hosts" in other.mend


async def test_a_known_hosts_file_that_is_gone_is_a_finding(tmp_path: Path) -> None:
    async with served_hosts(1) as fleet:
        fleet.known_hosts.unlink()
        assert not of_host(await examine(settings_of(tmp_path, fleet)), fleet.addresses[0]).ok


async def test_faults_of_the_configuration_and_the_disk(tmp_path: Path) -> None:
    async with served_hosts(1) as fleet:
        found = await examine(settings_of(tmp_path, fleet, kind="nonesuch", free=1 << 60))
    bad = [finding.what for finding in found if not finding.ok]
    assert bad == ["free space for runs", "executor metal/net"]
    nothing = await examine(parse(TOML.format(data=tmp_path, free=0)))
    assert [finding.what for finding in nothing if not finding.ok] == ["executors"]


async def test_what_isolates_checks_is_told_where_there_are_any(tmp_path: Path) -> None:
    text = TOML.format(data=tmp_path, free=0)
    assert not [finding for finding in await examine(parse(text)) if "checks" in finding.what]
    found = await examine(parse(text.replace("[projects.netdev]\n", "[projects.netdev]\nchecking = {}\n")))
    told = [finding for finding in found if "checks" in finding.what]
    assert all(finding.ok for finding in told)
    assert [finding.what for finding in told] == ["isolation of checks"] * 3 + ["layers of checks"]
