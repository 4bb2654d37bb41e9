"""The book of machines in a folder: a small file for each, written as a whole."""

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path

from services.executor.machines.book import Standing, State


class FileBook:
    """See `book.Book`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def standing(self, machine: str) -> Standing:
        return await asyncio.to_thread(self._read, machine)

    async def write(self, machine: str, standing: Standing) -> None:
        await asyncio.to_thread(self._write, machine, standing)

    def _read(self, machine: str) -> Standing:
        try:
            said = json.loads((self._folder / f"{machine}.json").read_text())
            return Standing(**{**said, "state": State(said["state"])})
        except FileNotFoundError:
            return Standing()
        except (OSError, ValueError, TypeError, KeyError):
            # What cannot be read says nothing good: it is reset before it is used.
            return Standing(State.SUSPECT, why="what was written of it cannot be read", dirty=True)

    def _write(self, machine: str, standing: Standing) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / f".{machine}.{os.getpid()}"
        with new.open("w") as file:
            json.dump(asdict(standing), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / f"{machine}.json")
