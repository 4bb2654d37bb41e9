"""What docs/how-to say in shell is run as it stands: the verification, and the signing of a call."""

import asyncio
import re
import subprocess
import time
from pathlib import Path

import pytest

from services.report.hooks.seal import seal_of
from shared.formats.signed import new_secret, sign, verify
from shared.practice.receiver import receiving
from tests.house.files import ROOT
from tests.services.report.hooks.world import some_settings


def block(page: str, first: str) -> str:
    """The shell block of a page that has `first` in it."""
    text = (ROOT / "docs/how-to" / page).read_text("utf-8")
    [found] = [b for b in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if first in b]
    return str(found)


@pytest.mark.parametrize("right", [True, False])
def test_the_verification_in_shell(tmp_path: Path, right: bool) -> None:
    secret, body = new_secret(), b'{"type":"dev.netci.ping.v1"}\n'
    (tmp_path / "body").write_bytes(body)
    signature = f"{sign(new_secret(), 'msg_1', 7, body)} {sign(secret, 'msg_1', 7, body if right else body + b' ')}"
    names = {"secret": secret, "id": "msg_1", "timestamp": "7", "signature": signature}
    done = subprocess.run(
        ["sh", "-c", block("receive-webhooks.md", "openssl")], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", **names},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == (("ok", 0) if right else ("refused", 1)), done.stderr


async def test_the_call_in_shell_is_signed(tmp_path: Path) -> None:
    secret = new_secret()
    async with receiving() as receiver:
        receiver.secrets.append(secret)
        names = {"secret": secret, "address": receiver.url}
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", block("wake-it-with-hooks.md", "curl"), cwd=tmp_path, env={"PATH": "/usr/bin:/bin", **names}
        )
        assert await process.wait() == 0
    [call] = receiver.calls
    assert call.fault == ""
    headers = [call.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    assert verify(secret, headers[0], headers[1], headers[2], call.body, time.time()) == ""


def test_the_key_of_the_docs_is_a_key(tmp_path: Path) -> None:
    settings, file = some_settings(tmp_path), tmp_path / "webhooks.key"
    file.unlink()
    line = block("receive-webhooks.md", "umask").replace("/etc/netci/webhooks.key", str(file))
    subprocess.run(["sh", "-c", line], check=True, timeout=30)
    assert seal_of(settings) is not None
