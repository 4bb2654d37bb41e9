"""Addresses that people copy, and where the mails of their series are."""

import pytest

from services.executor.local.addresses import mails_at, origin


@pytest.mark.parametrize(
    ("copied", "mails"),
    [
        ("https://pw.example.org/project/netdevbpf/list/?series=901234",
         "https://pw.example.org/series/901234/mbox/"),
        ("https://pw.example.org/project/netdevbpf/list/?series=901234&state=*&archive=both",
         "https://pw.example.org/series/901234/mbox/"),
        ("https://pw.example.org/sub/project/p/patch/20261123.1-2-a@b.org/",
         "https://pw.example.org/sub/project/p/patch/20261123.1-2-a@b.org/mbox/"),
        ("https://pw.example.org/series/901234/mbox/", "https://pw.example.org/series/901234/mbox/"),
        ("https://lore.example.org/netdev/20261123.1-1-a@b.org/",
         "https://lore.example.org/netdev/20261123.1-1-a@b.org/t.mbox.gz"),
        ("https://lore.example.org/netdev/20261123.1-1-a@b.org/T/#u",
         "https://lore.example.org/netdev/20261123.1-1-a@b.org/t.mbox.gz"),
        ("https://lore.example.org/netdev/20261123.1-1-a@b.org",
         "https://lore.example.org/netdev/20261123.1-1-a@b.org/t.mbox.gz"),
        ("https://lore.example.org/netdev/20261123.1-1-a@b.org/t.mbox.gz",
         "https://lore.example.org/netdev/20261123.1-1-a@b.org/t.mbox.gz"),
        ("https://lore.example.org/netdev/20261123.1-1-a@b.org/raw",
         "https://lore.example.org/netdev/20261123.1-1-a@b.org/raw"),
        ("http://127.0.0.1:8080/series/17", "http://127.0.0.1:8080/series/17.json"),
        ("https://ci.example.org/series/20261123.1-1-a@b.org", "https://ci.example.org/series/20261123.1-1-a@b.org.json"),
        ("https://example.org/files/my-series.mbox", "https://example.org/files/my-series.mbox"),
        ("https://example.org/anything", "https://example.org/anything"),
    ],
)  # fmt: skip
def test_where_the_mails_are(copied: str, mails: str) -> None:
    assert mails_at(copied) == mails


def test_what_a_series_page_says_of_its_origin() -> None:
    assert origin(b'{"series": {"web_url": "https://pw.example.org/x"}}') == "https://pw.example.org/x"
    for document in (b"[]", b"{}", b'{"series": {}}', b"no json", b'{"series": {"web_url": "file:///etc/passwd"}}'):
        assert origin(document) == ""
