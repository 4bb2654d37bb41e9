"""config/example.toml is whole: it loads, has every key there is, and says the defaults that the models have."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from shared.settings import Settings, load, parse, preset
from tests.house.files import ROOT

EXAMPLE = ROOT / "config/example.toml"
TEXT = EXAMPLE.read_text("utf-8")
COMMENTED = {"url_file", "token_file", "push_key_file", "push_known_hosts"}


def keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every key of the models as a path, tables by name shown as ``*``."""
    for name, field in model.model_fields.items():
        at = f"{path}{field.alias or name}"
        inner = model_in(field.annotation)
        if inner is None:
            yield at
        else:
            yield from keys(inner, at + (".*." if "dict" in str(field.annotation) else "."))


def model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [model for arg in get_args(annotation) if (model := model_in(arg)) is not None]
    return found[-1] if found else None


def shown(text: str) -> set[str]:
    """The paths of the keys in a TOML text, commented ones of `COMMENTED` included."""
    text = re.sub(rf"^# ((?:{'|'.join(COMMENTED)}) =)", r"\1", text, flags=re.MULTILINE)
    return set(paths(tomllib.loads(text), Settings))


def paths(table: dict[str, Any], model: type[BaseModel], path: str = "") -> Iterator[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in table.items():
        inner = model_in(fields[key].annotation)
        if inner is None:
            yield path + key
        elif isinstance(value, list):
            for one in value:
                yield from paths(one, inner, f"{path}{key}.")
        elif "dict" in str(fields[key].annotation):
            for one in value.values():
                yield from paths(one, inner, f"{path}{key}.*.")
        else:
            yield from paths(value, inner, f"{path}{key}.")


def test_it_loads() -> None:
    settings = load(EXAMPLE)
    assert settings.project_of("net-next")[0] == "netdev"
    assert settings.reports("metal")


def test_every_key_there_is_stands_in_it() -> None:
    assert sorted(set(keys(Settings)) - shown(TEXT)) == []


def test_defaults_are_as_said() -> None:
    """A key not marked as example or required has its default; so leaving it out changes nothing."""
    lines = []
    for line in TEXT.splitlines():
        said = re.search("example|required|wins over", line.partition("#")[2])
        lines.append(line if said or not re.match(r"[a-z_]+ = ", line) or line.startswith(KEPT) else "")
    assert parse("\n".join(lines)).model_dump(mode="json") == load(EXAMPLE).model_dump(mode="json")


# Not defaults, though unmarked: what makes the second tree another one, and the two that say what their comment says.
KEPT = ("git = ", "tags = ", "kind = ", "takes = ")


@pytest.mark.parametrize("line", [line for line in TEXT.splitlines() if re.match(r"[a-z_]+ = ", line)])
def test_every_key_has_its_meaning_beside_it_or_above(line: str) -> None:
    before = TEXT[: TEXT.index(line)].rstrip("\n").splitlines()[-1]
    plain = ("git = ", "tags = ", "kind = ", "listen = ", "data = ", "url = ", "post = ")
    assert "#" in line or before.startswith("#") or line.startswith(plain), line


def test_a_wrong_key_is_named_by_its_path() -> None:
    from shared.errors import Refused

    with pytest.raises(Refused, match=r"projects\.netdev\.streams\.net-next\.evry: there is no such key"):
        parse(TEXT.replace('every = "3h"', 'evry = "3h"'))


def test_the_preset_that_it_names_ships_with_us() -> None:
    assert preset("netdev")["ours"]
