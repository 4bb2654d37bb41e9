"""Where a stranger's address leads: to its host by name, over few redirects, and to no network of ours."""

from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from services.ingest.remotes.fetch import Marks, fetcher, where_of
from shared.errors import Refused, Transient
from shared.net import Reach
from shared.practice.nipa_remote import served_remote

LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://lab.example.org/results.json", ("lab.example.org", 443)),
        ("http://lab.example.org:8080/r.json?x=1", ("lab.example.org", 8080)),
        ("http://[2001:db8::1]/r.json", ("2001:db8::1", 80)),
    ],
)
def test_an_address_says_where(url: str, where: tuple[str, int]) -> None:
    assert where_of(url) == where


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x/y", "https:///r.json", "http://a:b@x/", "http://x:99999/", "http://[::1/", ""],
)
def test_what_is_no_address_is_not_followed(url: str) -> None:
    with pytest.raises(Refused):
        where_of(url)


async def test_the_host_is_asked_by_name_at_the_address_that_was_judged(tmp_path: Path) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with served_remote(tmp_path) as remote, fetcher("x", Reach(LOOPBACK, resolve), "tests", 5) as files:
        port = remote.url.rpartition(":")[2]
        file = await files.get(f"http://no-such-host.invalid:{port}/results.json", 100)
    assert file is not None
    assert file.body == b"[]"
    assert asked == ["no-such-host.invalid"]


async def test_a_name_that_leads_home_the_second_time_is_refused(tmp_path: Path) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    async with served_remote(tmp_path) as remote, fetcher("x", Reach(LOOPBACK, resolve), "tests", 5) as files:
        url = f"http://lab.invalid:{remote.url.rpartition(':')[2]}/results.json"
        assert await files.get(url, 100) is not None
        with pytest.raises(Refused, match=r"private network; its operator may name it in \[outgoing\] allow_private"):
            await files.get(url, 100)


async def test_loopback_needs_to_be_allowed(tmp_path: Path) -> None:
    async with served_remote(tmp_path) as remote, fetcher("x", Reach(), "tests", 5) as files:
        with pytest.raises(Refused, match="private network"):
            await files.get(remote.manifest, 100)
        assert not remote.asked


async def test_marks_save_the_second_look(tmp_path: Path) -> None:
    async with served_remote(tmp_path) as remote, fetcher("x", Reach(LOOPBACK), "tests", 5) as files:
        first = await files.get(remote.manifest, 100)
        assert first is not None
        assert first.marks.etag
        assert await files.get(remote.manifest, 100, first.marks) is None
        assert await files.get(remote.manifest, 100, Marks("", first.marks.modified)) is None


async def test_a_server_that_hangs_is_left(tmp_path: Path) -> None:
    async with served_remote(tmp_path) as remote, fetcher("x", Reach(LOOPBACK), "tests", 0.2) as files:
        remote.misbehave("slow")
        with pytest.raises(Transient, match="broke off"):
            await files.get(remote.manifest, 100)


async def test_a_redirect_is_followed(tmp_path: Path) -> None:
    async with served_remote(tmp_path) as remote, fetcher("x", Reach(LOOPBACK), "tests", 5) as files:
        remote.write("real.json", "[1]")
        remote.misbehave("moved", name="results.json", where="real.json")
        file = await files.get(remote.manifest, 100)
        assert file is not None
        assert file.body == b"[1]"
