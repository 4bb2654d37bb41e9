"""Free space under the data folder. Below the mark no new run and no new branch starts, and pages say so."""

import shutil
from pathlib import Path

from shared.settings import Settings


def low(settings: Settings) -> str:
    """Why nothing new may start; "" while there is room."""
    return short(settings.data, settings.disk.free)


def short(folder: Path, mark: int) -> str:
    """Why nothing more should go below `folder`; "" while at least `mark` bytes are free."""
    free = shutil.disk_usage(folder if folder.exists() else folder.anchor or "/").free
    return "" if free >= mark else f"{free >> 20} MiB free under {folder}, the mark is {mark >> 20} MiB"
