"""public-inbox archives made by git itself."""

import os
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tests.services.ingest.build import WHEN

QUIET = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}


def git(repository: Path, *words: str, stdin: bytes = b"") -> str:
    ran = subprocess.run(
        ["git", "-C", str(repository), *words], input=stdin, capture_output=True, check=True, env=os.environ | QUIET
    )
    return ran.stdout.decode().strip()


def archive(
    path: Path, mails: Sequence[bytes | None], *, begin: datetime = WHEN, name: str = "m", orphan: bool = False
) -> Path:
    """Deliver `mails` a minute apart into the repository at `path`, made if it is not there; None takes one back."""
    if not path.exists():
        path.mkdir(parents=True)
        git(path, "init", "-q", "--bare", "-b", "master")
    known = (
        not orphan and git(path, "rev-parse", "--verify", "-q", "master")
        if (path / "refs/heads/master").exists()
        else ""
    )
    lines = [] if not orphan else [b"reset refs/heads/master\n\n"]
    for number, mail in enumerate(mails):
        at = int((begin + timedelta(minutes=number)).timestamp())
        lines.append(b"commit refs/heads/master\ncommitter A <a@x> %d +0000\ndata 1\nx\n" % at)
        lines += [b"from %s\n" % str(known).encode()] if known and number == 0 else []
        said, file = (b"taken back", b"d") if mail is None else (mail, name.encode())
        lines.append(b"deleteall\nM 100644 inline %s\ndata %d\n%s\n" % (file, len(said), said))
    git(path, "fast-import", "--quiet", "--force", stdin=b"".join(lines))
    return path
