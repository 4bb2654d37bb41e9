"""config/remote.example.toml is whole: it loads, has every key there is, and says the defaults that the model has."""

import re
import tomllib

from services.executor.remote.config import EXAMPLE, LabSettings
from shared.settings import load_as, parse_as
from tests.house.files import ROOT
from tests.house.test_settings_example import keys, paths

FILE = ROOT / EXAMPLE
TEXT = FILE.read_text("utf-8")
SHOWN = re.sub("^# (ca_file =)", r"\1", TEXT, flags=re.MULTILINE)


def test_it_loads_and_its_executors_are_ready() -> None:
    assert [bench.name for bench in load_as(LabSettings, FILE, EXAMPLE).benches()] == ["cx7-drv"]


def test_every_key_there_is_stands_in_it() -> None:
    assert set(keys(LabSettings)) - set(paths(tomllib.loads(SHOWN), LabSettings)) == set()


def test_defaults_are_as_said() -> None:
    kept = [
        line if re.search("required", line.partition("#")[2]) or not re.match(r"[a-z_]+ = ", line) else ""
        for line in TEXT.splitlines()
    ]
    left = parse_as(LabSettings, "\n".join(kept), EXAMPLE).model_dump()
    shown = load_as(LabSettings, FILE, EXAMPLE).model_dump()
    shown["executors"][0]["crash_ignore"] = ()  # an example: nobody has any by default
    assert {key for key in shown if shown[key] != left[key]} == {"token_env", "branches"}
