"""What a lab knows of a test branch, wherever it heard of it. Pure."""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from shared.model.ids import is_sha

_SLOT = re.compile(r"-\d{4}-\d{2}-\d{2}--\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that can be fetched. `commit` is what is tested, whatever the branch's name means by then."""

    name: str
    stream: str
    commit: str
    base: str
    url: str
    announced: datetime

    def __post_init__(self) -> None:
        if not is_sha(self.commit):
            raise ValueError(f"branch {self.name[:200]!r}: {self.commit[:80]!r} is no commit id")

    def plain(self) -> dict[str, Any]:
        return asdict(self) | {"announced": self.announced.isoformat()}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Self:
        """From what `plain` gave. Raises ValueError, KeyError, TypeError."""
        return cls(**plain | {"announced": moment(plain["announced"])})


def moment(text: str) -> datetime:
    """A time; one without a zone is UTC, as in NIPA's files."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def of_event(event: dict[str, Any]) -> Branch | None:
    """From the CloudEvent of a branch; None for a try, which is nobody's but its owner's. Raises as `Branch.of`."""
    data = event["data"]
    if data.get("purpose") == "try":
        return None
    return Branch(
        data["branch"], data["stream"], data["commit"], data["base"], data["public_url"], moment(event["time"])
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of branches.json, ours or NIPA's: the commit is not in it and is asked of the repository."""

    name: str
    base: str
    url: str
    date: datetime

    @property
    def stream(self) -> str:
        return _SLOT.sub("", self.name)

    def at(self, commit: str) -> Branch:
        return Branch(self.name, self.stream, commit, self.base, self.url, self.date)


def of_list(entries: Any) -> list[Listed]:
    """From branches.json, oldest first as it stands there. Raises ValueError where an entry can't be read."""
    if not isinstance(entries, list):
        raise ValueError("branches.json is no list")
    return [_listed(entry) for entry in entries]


def _listed(entry: Any) -> Listed:
    try:
        url, _, ref = entry["url"].rpartition(" ")
        return Listed(entry["branch"], str(entry.get("base") or ""), url or ref, moment(entry["date"]))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"an entry of branches.json lacks something: {exc!r}"[:300]) from None
