"""Places in the source, from an image that the compiler made and in the cage that the machine has."""

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.executor.cage.at_hand import isolation_for
from services.executor.cage.bubblewrap import Bubblewrap
from services.executor.symbolise import symbolise
from shared.formats.oops import read
from shared.settings import Checks

ONE = """\
static inline __attribute__((always_inline)) void inlined(volatile int *at)
{
	*at = 0;
}

void innermost(volatile int *at)
{
	inlined(at);
}

static __attribute__((noinline)) void twice(volatile int *at)
{
	innermost(at);
	*at = 1;
}

void outermost(volatile int *at)
{
	twice(at);
	*at = 2;
}
"""
OTHER = """\
void outermost(volatile int *at);

static __attribute__((noinline)) void twice(volatile int *at)
{
	outermost(at); outermost(at); outermost(at); outermost(at); outermost(at); outermost(at);
	outermost(at); outermost(at); outermost(at); outermost(at); outermost(at); outermost(at);
}

int main(void)
{
	int here;
	twice(&here);
	return 0;
}
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder on a disk that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="netci-symbols-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def isolation(place: Path) -> Iterator[Bubblewrap]:
    found = isolation_for(Checks(), place / "state")
    assert isinstance(found, Bubblewrap)
    yield found
    found.close()


@pytest.fixture
def image(place: Path) -> Path:
    """Two files that each have a function `twice`, of different sizes."""
    (place / "tree").mkdir()
    for name, text in (("one.c", ONE), ("other.c", OTHER)):
        (place / "tree" / name).write_text(text)
    words = ("gcc", "-g", "-O1", "-fno-optimize-sibling-calls", "-o", "vmlinux", "one.c", "other.c")
    subprocess.run(words, cwd=place / "tree", check=True, timeout=120)
    return place / "tree" / "vmlinux"


def sizes(image: Path) -> dict[str, list[int]]:
    """The functions' sizes, smallest first."""
    said = subprocess.run(("nm", "-S", str(image)), check=True, capture_output=True, text=True, timeout=60).stdout
    found: dict[str, list[int]] = {}
    for _, size, name in re.findall(r"^(\w+) (\w+) [tT] (\w+)$", said, re.MULTILINE):
        found.setdefault(name, []).append(int(size, 16))
    return {name: sorted(each) for name, each in found.items()}


async def test_a_report_gets_its_places(image: Path, isolation: Bubblewrap) -> None:
    size = {name: each[0] for name, each in sizes(image).items()}
    log = f"""\
[    1.000001] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    1.000002] Oops: 0002 [#1] SMP
[    1.000003] RIP: 0010:innermost+0x0/{size["innermost"]:#x}
[    1.000004] Call Trace:
[    1.000005]  twice+{size["twice"]:#x}/{size["twice"]:#x}
[    1.000006]  ? outermost+0x1/{size["outermost"]:#x}
[    1.000007]  elsewhere+0x1/0x2
[    1.000008]  outermost+0x1/{size["outermost"]:#x} [module]
[    1.000009] ---[ end trace 0000000000000000 ]---
"""
    (report,) = read(log)
    told = await symbolise(report.text, image, isolation, root=str(image.parent))
    assert re.fullmatch(r"RIP: 0010:innermost \(one\.c:[378](?: one\.c:8)?\)", told[2])
    assert re.fullmatch(r" twice \(one\.c:1[45]\)", told[4])
    assert re.fullmatch(r" \? outermost \(one\.c:1[89]\)", told[5])
    assert told[6:8] == report.text[6:8]
    assert (told[:2], told[3], told[8]) == (report.text[:2], report.text[3], report.text[8])


async def test_what_was_inlined_is_told_with_its_caller(image: Path, isolation: Bubblewrap) -> None:
    size = sizes(image)["innermost"][0]
    spots = [f"RIP: 0010:innermost+{offset:#x}/{size:#x}" for offset in range(size)]
    told = await symbolise(spots, image, isolation, root=str(image.parent))
    assert "RIP: 0010:innermost (one.c:3 one.c:8)" in told


async def test_two_functions_of_one_name_are_told_by_their_size(image: Path, isolation: Bubblewrap) -> None:
    small, large = sizes(image)["twice"]
    told = await symbolise(
        [f" twice+0x1/{small:#x}", f" twice+0x1/{large:#x}", f" twice+0x1/{large + 4096:#x}"], image, isolation,
        root=str(image.parent),
    )  # fmt: skip
    assert told[0].startswith(" twice (one.c:")
    assert told[1].startswith(" twice (other.c:")
    assert told[2] == f" twice+0x1/{large + 4096:#x}"


async def test_an_image_that_is_none_leaves_the_lines_as_they_are(place: Path, isolation: Bubblewrap) -> None:
    image = place / "vmlinux"
    await asyncio.to_thread(image.write_bytes, b"\x7fELF" + b"\xff" * 5000)
    lines = [" f+0x1/0x2", " $(touch here)+0x1/0x2"]
    assert await symbolise(lines, image, isolation) == tuple(lines)
    assert await symbolise([], image, isolation) == ()
