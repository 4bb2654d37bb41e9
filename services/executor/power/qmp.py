"""One command to a running QEMU, in its machine protocol (QMP) over a socket of its own."""

import asyncio
import json
from pathlib import Path
from typing import Any

from shared.errors import InfraError

_LIMIT = 10.0


async def command(path: Path, name: str, **arguments: object) -> Any:
    """What it returns. Raises InfraError if nobody answers, or it refuses."""
    try:
        async with asyncio.timeout(_LIMIT):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                await reader.readline()
                await _ask(reader, writer, {"execute": "qmp_capabilities"})
                return await _ask(reader, writer, {"execute": name, "arguments": arguments})
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError) as exc:
        raise InfraError(f"QEMU at {path} does not answer: {exc or type(exc).__name__}") from exc


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: dict[str, object]) -> Any:
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()
    while True:
        answer = json.loads(await reader.readline() or b"null")
        if answer is None:
            raise InfraError("QEMU hung up")
        if "error" in answer:
            raise InfraError(f"QEMU: {answer['error'].get('desc', 'it refuses')}")
        if "return" in answer:
            return answer["return"]
