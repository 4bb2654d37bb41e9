"""Which tree a series on somebody's disk is for, and of which kind: as told, else by its subject's tags. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.model.mails import Mail

Kind = Literal["next", "fixes"]

KNOWN: Mapping[str, Kind] = {"net": "fixes", "bpf": "fixes", "wireless": "fixes"}
"""Trees for fixes, as their lists call them. Any other that somebody names is for the next release."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The tree, "" if nobody named one, its kind, and whether the subject names it."""

    tree: str
    kind: Kind
    marked: bool


def settled(mails: Sequence[Mail], told: Kind | None, trees: Mapping[str, Kind]) -> Settled:
    """`trees` are those of a configuration, by tag; without any, common names are known."""
    kinds = {tag.lower(): kind for tag, kind in trees.items()} or KNOWN
    tags = [tag.lower() for mail in mails for tag in mail.subject.tags]
    named = next((tag for tag in tags if tag in kinds or (not trees and tag.endswith("-next"))), "")
    return Settled(named, told or kinds.get(named, "next"), bool(named))
