"""What it takes to run a test again, as a document."""

import json
from dataclasses import replace

import pytest

from services.executor.recipe import Recipe, dump, load, public
from shared.errors import Refused

RECIPE = Recipe(
    "selftests-net", "tun", "fail", "net-next-2026-11-27", "c" * 40, "b" * 40, "https://git.example.org/linux.git",
    "lab/vm-net", {"kind": "kselftest", "targets": ["net"]}, {"kind": "vm"}, ("sh", "-c", "./tun"), {"K": "v"}, 45.0,
    {"kernel": "6.1.0"},
)  # fmt: skip


def test_it_comes_back_as_it_was() -> None:
    assert load(dump(RECIPE), "here") == RECIPE
    # What a later form adds is no harm.
    more = json.dumps(json.loads(dump(RECIPE)) | {"moon": "full"}).encode()
    assert load(more, "here") == RECIPE


@pytest.mark.parametrize(
    "change", [{"form": 2}, {"commit": "master"}, {"commit": "-x"}, {"suite": []}, {"driver": None}, {"result": 7}]
)
def test_what_is_none_is_refused(change: dict[str, object]) -> None:
    said = json.loads(dump(RECIPE)) | change
    with pytest.raises(Refused, match="here: no recipe"):
        load(json.dumps(said).encode(), "here")
    for data in (b"", b"[]", b"{}", b"\xff", b"null"):
        with pytest.raises(Refused, match="here: no recipe"):
            load(data, "here")


def test_secrets_and_paths_of_another_machine_are_not_in_it() -> None:
    table = {
        "kind": "kselftest", "expects_file": "/etc/netci/expected", "time_limits": {"*_key.sh": "9m"},
        "env": {"API_TOKEN": "s3cret", "PASSWORD": "x", "KEEP": "1", "key": "private"},
    }  # fmt: skip
    found = public(table)
    assert found == {
        "kind": "kselftest", "time_limits": {"*_key.sh": "9m"},
        "env": {"API_TOKEN": "(withheld)", "PASSWORD": "(withheld)", "KEEP": "1", "key": "(withheld)"},
    }  # fmt: skip
    assert "s3cret" not in dump(replace(RECIPE, suite=found)).decode()
