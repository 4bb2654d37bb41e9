"""SQL by name: a file of blocks, each headed by ``-- name --``, its parameters named in the next comment.

SQL lives in ``queries.sql`` files alone; grep finds both ends of a statement by its name.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import LiteralString

_HEAD = re.compile(r"^-- (?P<name>[a-z][a-z0-9_]*) --$", re.MULTILINE)


class Statements(Mapping[str, LiteralString]):
    """The named statements of one file. Asking for a name that is not there is an error at the caller."""

    def __init__(self, source: str, blocks: Mapping[str, str]) -> None:
        self.source = source
        self._blocks: dict[str, LiteralString] = dict(blocks)

    def __getitem__(self, name: str) -> LiteralString:
        try:
            return self._blocks[name]
        except KeyError:
            raise KeyError(f"{self.source} has no statement {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)


def parse(text: str, source: str = "queries.sql") -> Statements:
    """Split `text` at its headings. Raises ValueError on a name given twice or SQL before the first heading."""
    heads = list(_HEAD.finditer(text))
    before = text[: heads[0].start()] if heads else text
    if any(line.strip() and not line.startswith("--") for line in before.splitlines()):
        raise ValueError(f"{source}: SQL before the first heading")
    blocks: dict[str, str] = {}
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        if head["name"] in blocks:
            raise ValueError(f"{source}: {head['name']} stands twice")
        blocks[head["name"]] = text[head.end() : after.start() if after else None].strip().rstrip(";")
    return Statements(source, blocks)


def load(package: str, name: str = "queries.sql") -> Statements:
    """The statements beside the modules of `package`."""
    return parse(resources.files(package).joinpath(name).read_text("utf-8"), f"{package}/{name}")
