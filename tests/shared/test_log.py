"""Log lines: JSON, one each, and without secrets. In a process of its own, as logging is the process's."""

import json
import subprocess
import sys

import pytest

HEAD = "import logging, structlog\nfrom shared import log\n"
ADDRESS = "amqps://netci:hunter2@broker:5671/"


def said(program: str, as_json: bool = True) -> str:
    """What `program` logs."""
    code = f"{HEAD}log.configure(json={as_json})\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stderr


def test_a_line_is_json_with_its_place() -> None:
    line = json.loads(said("structlog.get_logger('a.place').info('it happened', series=17)"))
    assert (line["event"], line["series"], line["level"], line["logger"]) == ("it happened", 17, "info", "a.place")


def test_a_secret_by_its_key_is_hidden() -> None:
    keys = ["token", "api_token", "Authorization", "smtp_password", "client_secret"]
    line = json.loads(said(f"structlog.get_logger().warning('x', **dict.fromkeys({keys}, 'hunter2'))"))
    assert [line[key] for key in keys] == ["***"] * 5


@pytest.mark.parametrize("as_json", [True, False])
def test_a_login_in_an_address_is_hidden(as_json: bool) -> None:
    program = f"""
structlog.get_logger().info("x", url={ADDRESS!r})
logging.getLogger("library").info("connecting to %s", {ADDRESS!r})
try:
    raise ConnectionError("cannot reach " + {ADDRESS!r})
except ConnectionError:
    structlog.get_logger().exception("broke")
"""
    told = said(program, as_json)
    assert "hunter2@" not in told.replace("+ 'amqps://netci:hunter2@", "")
    assert told.count("amqps://***@broker:5671/") == 3


def test_a_terminal_sees_no_local_variables() -> None:
    program = """
hidden = "hunter" + "2"
try:
    raise RuntimeError(f"length {len(hidden)}")
except RuntimeError:
    structlog.get_logger().exception("broke")
"""
    told = said(program, as_json=False)
    assert "length 7" in told
    assert "hunter2" not in told


def test_libraries_talk_less() -> None:
    assert said("logging.getLogger('httpx').info('chatter')") == ""
