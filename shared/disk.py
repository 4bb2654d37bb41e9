"""Free space under the data folder. Below the mark no new run and no new branch starts, and pages say so."""

import shutil

from shared.settings import Settings


def low(settings: Settings) -> str:
    """Why nothing new may start; "" while there is room."""
    free = shutil.disk_usage(settings.data if settings.data.exists() else settings.data.anchor or "/").free
    if free >= settings.disk.free:
        return ""
    return f"{free >> 20} MiB free under {settings.data}, the mark is {settings.disk.free >> 20} MiB"
