import io
import tarfile
from pathlib import Path

import pytest

from shared.errors import Missing
from shared.practice.kernel import kernel_store


def a_source(folder: Path) -> Path:
    """A source package of four files, one of them a program, one a link."""
    path = folder / "linux-source.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name, mode, data in (
            ("net/tcp.c", 0o644, b"x\n"),
            ("scripts/run", 0o755, b"#!/bin/sh\n"),
            ("empty", 0o644, b""),
        ):
            member = tarfile.TarInfo(f"linux/{name}")
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("linux/link")
        link.type, link.linkname = tarfile.SYMTYPE, "net/tcp.c"
        tar.addfile(link)
    return path


async def test_the_source_is_imported_once_and_always_the_same(tmp_path: Path) -> None:
    source = a_source(tmp_path)
    store, head = await kernel_store(tmp_path / "one", source)
    entries = {entry.path: entry.mode for entry in await store.ls(head, recursive=True)}
    assert entries == {"net/tcp.c": "100644", "scripts/run": "100755", "empty": "100644", "link": "120000"}
    assert await store.read_blob(head, "link") == b"net/tcp.c"
    _, other = await kernel_store(tmp_path / "two", source)
    assert other == head
    source.unlink()
    store.close()
    _, again = await kernel_store(tmp_path / "one", source)
    assert again == head


async def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="apt-get install linux-source"):
        await kernel_store(tmp_path, tmp_path / "nothing.tar.xz")
