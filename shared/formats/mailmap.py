"""git's ``.mailmap``: under which name and address a person wants to be known. Pure.

Reads the four forms of a line that gitmailmap(5) has; what is none of them says nothing.
"""

import re
from dataclasses import dataclass, field

from shared.model.mails import Person

_LINE = re.compile(r"([^<>#]*)<([^<>]*)>(?:([^<>]*)<([^<>]*)>)?\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Mailmap:
    """Who is who. The key is the address as committed and the name, "" for any; both are lower-cased."""

    entries: dict[tuple[str, str], Person] = field(default_factory=dict)

    def known(self, person: Person) -> Person:
        """The person by the proper name and address; unchanged where the map says nothing."""
        email = person.email.lower()
        found = self.entries.get((email, person.name.lower())) or self.entries.get((email, ""))
        return Person(found.name or person.name, found.email or person.email) if found else person

    def emails(self, person: Person) -> set[str]:
        """The address as given and the proper one, in lower case."""
        return {person.email.lower(), self.known(person).email.lower()}

    def same(self, one: Person, other: Person) -> bool:
        """Whether both have one address, or have it after the map was asked."""
        return bool(self.emails(one) & self.emails(other))


def mailmap(text: str) -> Mailmap:
    """Later lines win, as with git."""
    entries: dict[tuple[str, str], Person] = {}
    for line in text.splitlines():
        if not (found := _LINE.fullmatch(line.strip())):
            continue
        proper, email, name, committed = ((part or "").strip() for part in found.groups())
        key = (committed or email).lower(), name.lower()
        old = entries.get(key, Person("", ""))
        entries[key] = Person(proper or old.name, (email if committed else "") or old.email)
    return Mailmap(entries)
