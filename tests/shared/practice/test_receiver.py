"""The practice receiver as a program: what it prints, and that it can be told to behave otherwise."""

import asyncio
import json
import sys
import time

import aiohttp

from shared.formats.signed import new_secret, sign


async def test_the_program_says_what_came_and_whether_it_verifies() -> None:
    secret, body = new_secret(), b'{"type":"dev.netci.ping.v1"}'
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared.practice.receiver", "503:7", "200", "--secret", secret,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        now = int(time.time())
        headers = {"webhook-id": "a", "webhook-timestamp": str(now), "webhook-signature": sign(secret, "a", now, body)}
        async with aiohttp.ClientSession() as http:
            first = await http.post(url, data=body, headers=headers)
            second = await http.post(url, data=body + b" ", headers=headers)
            told = await http.post(f"{url}practice/behave", data="410")
            third = await http.post(url, data=body)
            calls = await (await http.get(f"{url}practice/calls")).json()
        lines = [json.loads(await process.stdout.readline()) for _ in range(3)]
    finally:
        process.terminate()
        await process.wait()
    assert (first.status, first.headers["Retry-After"], second.status, told.status, third.status) == (
        503, "7", 200, 200, 410,
    )  # fmt: skip
    assert lines == calls
    assert [(line["verified"], line["did"]) for line in lines] == [(True, "503:7"), (False, "200"), (False, "410")]
