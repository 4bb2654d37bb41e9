"""Debian's own kernel as its package, for guests of tests: fetched once, by apt, into the cache."""

import shutil
import subprocess
from pathlib import Path

from shared.practice.kernel import CACHE

_META = "linux-image-amd64"


def kernel_package() -> Path:
    """The newest, AssertionError saying what is missing if there is none."""
    folder = CACHE / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    name = _newest()
    if found := sorted(folder.glob(f"{name}_*.deb")):
        return found[-1]
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    # As root, apt would hand the fetching to a user who may not write here.
    _said("apt-get", "-o", "APT::Sandbox::User=root", "download", name, folder=new)
    (package,) = new.iterdir()
    return package.rename(folder / package.name)


def _newest() -> str:
    lines = _said("apt-cache", "depends", "--important", _META).splitlines()
    names = [line.split()[-1] for line in lines if "Depends: linux-image-" in line]
    assert names, f"apt knows no {_META}: run apt-get update"
    return names[0]


def _said(*words: str, folder: Path | None = None) -> str:
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, f"{' '.join(words)}: {ran.stderr[-500:]}; run apt-get update"
    return ran.stdout
