"""Selftests that say anything but results: bytes that Hypothesis thought of, endless lines, huge and odd KTAP."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.model.mails import Person
from shared.practice.tree import Commit, add, git
from tests.e2e.letters import Hostile

FOLDER = "tools/testing/selftests/net"
_EVE = Person("Eve Noise", "eve-noise@eve.example")

_LINES = st.lists(
    st.sampled_from([
        b"KTAP version 1", b"TAP version 13", b"1..3", b"ok 1 a", b"not ok 2 b # SKIP", b"    ok 1 c", b"# Subtest: x",
        b"Bail out!", b"1..999999999999999999999", b"ok 99999999999999999999999 n", b"\x1b]0;title\x07\x1b[2J",
        b"<script>alert(1)</script>", b"ok 1 <script>alert('x')</script>", b"ok - \xff\xfe\x00", b"ok 1 \xe2\x80\xae",
    ])
    | st.binary(max_size=60),
    max_size=30,
).map(b"\n".join)  # fmt: skip


def blobs(count: int) -> list[bytes]:
    """Outputs of tests, the same in every run."""
    found: list[bytes] = []

    @settings(max_examples=count * 2, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(_LINES | st.binary(max_size=3000))
    def gather(blob: bytes) -> None:
        found.append(blob)

    gather()
    return sorted(set(found), key=lambda blob: (-len(blob), blob))[:count]


def programs(count: int) -> list[str]:
    """The file names of the tests of a series with so many blobs."""
    return [*(f"noise_{at:02}.sh" for at in range(count)), *_ODD]


def shown(program: str) -> str:
    """The name of a test as results have it: NIPA's, without dots and underscores."""
    return program.replace("_", "-").replace(".", "-")


def series(author: Path, outputs: Sequence[bytes]) -> Hostile:
    """A patch that adds them all to the tree of `author`, a repository of the practice world."""
    files = {f"{FOLDER}/noise_{at:02}.sh": _saying(blob, at) for at, blob in enumerate(outputs)}
    files |= {f"{FOLDER}/{name}": text for name, text in _ODD.items()}
    makefile = git(author, "show", f"main:{FOLDER}/Makefile").decode()
    added = "".join(f"TEST_PROGS += {name}\n" for name in programs(len(outputs)))
    files[f"{FOLDER}/Makefile"] = makefile.replace("TEST_FILES :=", f"{added}TEST_FILES :=")
    base = git(author, "rev-parse", "main").decode().strip()
    when = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    add(author, "refs/heads/noise", base, [Commit("selftests: net: make noise", "Loud.", files, _EVE, when)])
    diff = git(author, "diff", "main", "noise").decode()
    return Hostile("noise", (f"{diff}-- \n2.43.0\n",), "", subject="selftests: net: make noise")


def _saying(blob: bytes, at: int) -> str:
    text = base64.encodebytes(blob).decode()
    return f"#!/bin/sh\nbase64 -d <<'END'\n{text}END\nexit {(0, 1, 4, 3)[at % 4]}\n"


_ODD = {
    "noise_endless.sh": "#!/bin/sh\nexec yes 'ok 1 and on it goes'\n",
    "noise_silent.sh": "#!/bin/sh\nexec sleep 1000\n",
    "noise_long_line.sh": "#!/bin/sh\nhead -c 12000000 /dev/zero | tr '\\0' x\n",
    "noise_huge.sh": (
        "#!/bin/sh\necho 'KTAP version 1'\necho 1..60000\n"
        "seq 1 60000 | sed 's/\\(.*\\)/ok \\1 case \\1 of very many/'\n"
    ),
    "noise_deep.sh": (
        "#!/bin/sh\necho 'KTAP version 1'\npad=\nfor i in $(seq 1 300); do\n"
        '\techo "${pad}1..1"\n\tpad="$pad    "\n\techo "${pad}KTAP version 1"\ndone\necho "${pad}ok 1 deep"\n'
    ),
    "noise_stays.sh": "#!/bin/sh\nsetsid sleep 1000 &\necho 'ok 1 left something running'\n",
    "noise_fine.sh": "#!/bin/sh\necho 'KTAP version 1'\necho 1..1\necho 'ok 1 fine'\n",
    "noise_links.sh": "#!/bin/sh\nln -sf /etc/passwd stdout\nln -sf / results\necho 'ok 1 links'\n",
}
