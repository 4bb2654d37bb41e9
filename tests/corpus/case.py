"""A case of the corpus as its file tells it. README.md has the words."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.formats.mbox import parse_person
from shared.model.mails import Person

CASES = Path(__file__).parent / "cases"
AUTHOR = "Ada Byrd <ada@byrd.example>"


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Edit(Table):
    """What happens to one file: `old`, which stands in it once, becomes `new`; or it is written, renamed, deleted."""

    path: str
    old: str = ""
    new: str = ""
    content: str | None = None
    rename: str = ""
    delete: bool = False
    mode: Literal["", "100644", "100755"] = ""


class Change(Table):
    """A commit to be made. `sign` is whose Signed-off-by ends the message, the author's by default; "" for none.

    `name` is how later messages speak of it: ``{name}`` is its id, ``{name:12}`` the beginning of it. `alone` are
    commits without a parent, joined to the history by a merge, that are made of just this message.
    """

    subject: str
    message: str = ""
    author: str = AUTHOR
    committer: str = ""
    sign: str | None = None
    edits: tuple[Edit, ...] = ()
    name: str = ""
    alone: bool = False
    aside: bool = Field(default=False, description="not in the history of the base, though in the store")

    @property
    def person(self) -> Person:
        return parse_person(self.author)

    @property
    def whole(self) -> str:
        signer = self.author if self.sign is None else self.sign
        signed = f"Signed-off-by: {signer}" if signer else ""
        joined = "\n" if self.message.rstrip().rpartition("\n")[2].partition(" ")[0].endswith(":") else "\n\n"
        parts = [part for part in (self.message.strip(), signed) if part]
        return f"{self.subject}\n\n{joined.join(parts)}".strip() + "\n"


class Patch(Change):
    """A patch of the series. `to` and `cc` are the recipients of its mail, `headers` more lines of its head."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


class Expected(Table):
    """One answer. `patch` is 0 for what is asked of the series. `findings` and `notes` are compared where given:
    ``path:line: text`` of the new findings, in order.
    """

    check: str
    patch: int = 0
    state: Literal["success", "warning", "fail", "pending", "infra"]
    text: str
    findings: tuple[str, ...] | None = None
    notes: tuple[str, ...] | None = None


class Case(Table):
    """A series: patches to be made, or mails as they came (files beside the case)."""

    shows: str
    prefix: str = "PATCH net-next"
    tree: str = "net-next"
    kind: Literal["next", "fixes"] = "next"
    marked: bool = True
    mark_expected: bool = True
    cover: str = Field(default="", description="subject of a cover letter")
    pull: str = Field(default="", description="subject of a pull request of the patches")
    cover_pull: bool = False
    history: tuple[Change, ...] = ()
    patch: tuple[Patch, ...] = ()
    mails: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = {}
    expect: tuple[Expected, ...]


def all_cases() -> dict[str, Path]:
    """Name to file, of every case."""
    return {str(file.relative_to(CASES).with_suffix("")): file for file in sorted(CASES.rglob("*.toml"))}


def read(file: Path) -> Case:
    return Case.model_validate(tomllib.loads(file.read_text("utf-8")))
