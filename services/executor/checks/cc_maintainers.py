"""Whether those who must see a patch were sent it: whom get_maintainer.pl names, and who wrote what the patch fixes.

The script is the base's, MAINTAINERS is that of the patched tree, so that an entry that comes with the series counts.
There is no git history beside it: who merely changed a file often is not asked for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from pydantic import Field

from services.executor.checks.base import (
    CheckConfig,
    Desk,
    Finding,
    OurCheck,
    Said,
    Subject,
    fail,
    of_base,
    success,
    warning,
)
from services.executor.lint.limited import Limited, ended
from shared.errors import InfraError, Refused
from shared.formats.fixes_tag import fixes_tags
from shared.formats.mailmap import Mailmap, mailmap
from shared.formats.mbox import parse_person
from shared.formats.trailers import message_of
from shared.model.mails import Mail, Person

_WORD = re.compile(r"[^\s<>,;:\"()]+")
_LONGEST = 2000
"""What is read of a line, characters."""
_READS = (".scripts/.get_maintainer.conf",)
"""Read from the tree, besides the rules at its root, of which the desk takes care."""
_MONTH = timedelta(days=30.44)
_MOST_BLAMED = 20
_MOST_SEEN = 16 << 20


class CcMaintainersConfig(CheckConfig):
    """`ignore`: addresses nobody need send to. `colleagues`: for an address, endings of others that it need not send
    to, as "@example.com". `aliases`: more lines of a .mailmap. `last_seen`: a file of lines ``address YYYY-MM-DD``,
    kept by somebody else, of when each was last heard on the list; who is not in it, or was not heard for `stale`
    months (`stale_colleague` for colleagues of the author by domain), is not asked for.
    """

    ignore: tuple[str, ...] = ()
    colleagues: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    min_percent: int = Field(default=35, ge=0, le=100, description="get_maintainer.pl's --git-min-percent")
    last_seen: Path | None = None
    stale: int = Field(default=36, ge=1, description="months")
    stale_colleague: int = Field(default=12, ge=1, description="months")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody who ought to get the mail. `role` is the script's; `blamed` wrote what the patch fixes."""

    person: Person
    role: str
    blamed: bool = False

    @property
    def email(self) -> str:
        return self.person.email.lower()


class CcMaintainers(OurCheck):
    name = "cc_maintainers"
    help = "maintainers, lists and authors of what is fixed are among the recipients"
    tools = ("perl",)
    Config = CcMaintainersConfig
    config: CcMaintainersConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert subject.patch is not None
        options = ("--git-min-percent", str(self.config.min_percent), "--nogit-fallback")
        ran = await desk.run(
            "/judge/scripts/get_maintainer.pl", *options, "--", "/in/patch",
            files={"patch": subject.patch.text}, over=await of_base(subject, desk, *_READS),
        )  # fmt: skip
        try:
            ended("get_maintainer.pl", ran)
        except Limited as exc:
            return exc.said
        if not ran.ok:
            raise InfraError(f"get_maintainer.pl: {ran.stderr.decode(errors='replace').strip()[-300:]}")
        names = (await desk.read(subject.base, ".mailmap") or b"").decode("utf-8", "replace")
        known = mailmap("\n".join((names, *self.config.aliases)))
        wanted = [*await _blamed(subject, desk), *named(ran.stdout.decode("utf-8", "replace"))]
        return said(subject.patch.mail, wanted, known, self.config, _last_seen(self.config.last_seen))


def named(output: str) -> list[Wanted]:
    """Whom get_maintainer.pl names, one a line: ``Name <address> (role,role)``."""
    found = []
    for line in output.splitlines():
        who, role = _apart(line[:_LONGEST].rstrip())
        person = parse_person(who)
        if "@" in person.email:
            found.append(Wanted(person, role))
    return found


def _apart(line: str) -> tuple[str, str]:
    """What stands before the last parentheses, and what stands in them: there may be some within."""
    depth = 0
    for at in range(len(line) - 1, -1, -1) if line.endswith(")") else ():
        depth += (line[at] == ")") - (line[at] == "(")
        if not depth:
            return line[:at].rstrip(), line[at + 1 : -1]
    return line, ""


async def _blamed(subject: Subject, desk: Desk) -> list[Wanted]:
    """Authors of the commits that the patch says it fixes, as far as there are such commits."""
    assert subject.patch is not None
    found = []
    for tag in fixes_tags(message_of(subject.patch.mail.body))[:_MOST_BLAMED]:
        if tag.sha:
            try:
                author = await desk.ask_git("log", "--max-count=1", "--format=%an <%ae>", tag.sha)
            except Refused:
                continue
            found.append(Wanted(parse_person(author.strip()), "blamed_fixes", blamed=True))
    return found


def recipients(mail: Mail) -> list[Person]:
    """Everybody in To and Cc, and the sender, who has it."""
    headers = BytesHeaderParser().parsebytes(mail.raw)
    values = [str(v) for name in ("to", "cc", "from", "sender") for v in headers.get_all(name, [])]
    words = (word for value in values for word in _WORD.findall(value))
    return [mail.author, *(Person("", word) for word in words if "@" in word.strip("@"))]


def said(
    mail: Mail, wanted: Sequence[Wanted], known: Mailmap, config: CcMaintainersConfig, seen: dict[str, date] | None
) -> Said:
    have = {email for person in recipients(mail) for email in known.emails(person)}
    asked: dict[str, Wanted] = {}
    for one in _needed(wanted, mail, config):
        asked.setdefault(one.email, one)
    there = {email for email, one in asked.items() if known.emails(one.person) & have}
    silent = {email for email, one in asked.items() if email not in there and _stale(one, mail, config, seen)}
    missing = [asked[email] for email in sorted(asked.keys() - there - silent)]
    findings = tuple(Finding(f"not CCed: {one.person} ({one.role})") for one in missing)
    more: dict[str, Any] = {
        "findings": findings, "repeat": "git show --format=email HEAD | ./scripts/get_maintainer.pl --nogit-fallback",
        "log": "".join(
            f"{'CCed' if e in there else 'silent' if e in silent else 'not CCed'}: {one.person} ({one.role})\n"
            for e, one in asked.items()
        ),
    }  # fmt: skip
    if not missing:
        return success(f"CCed {len(there)} of {len(there)} maintainers", **more)
    text = f"{len(missing)} maintainers not CCed: {' '.join(one.email for one in missing)}"
    if blamed := [one.email for one in missing if one.blamed]:
        return fail(f"{len(blamed)} blamed authors not CCed: {' '.join(blamed)}; {text}", **more)
    return (warning if len(there) > 1 else fail)(text, **more)


def _needed(wanted: Sequence[Wanted], mail: Mail, config: CcMaintainersConfig) -> list[Wanted]:
    """Without those whom the configuration excuses, blamed ones first."""
    excused = {email.lower() for email in config.ignore}
    colleagues = tuple(end.lower() for end in config.colleagues.get(mail.author.email.lower(), ()))
    return [one for one in wanted if one.email not in excused and not one.email.endswith(colleagues or ("\0",))]


def _stale(one: Wanted, mail: Mail, config: CcMaintainersConfig, seen: dict[str, date] | None) -> bool:
    """Whether somebody was not heard for so long that nobody expects an answer. A list says nothing by itself."""
    if seen is None or mail.date is None or "list" in one.role:
        return False
    colleague = one.email.partition("@")[2] == mail.author.email.lower().partition("@")[2]
    months = config.stale_colleague if colleague else config.stale
    last = seen.get(one.email)
    return last is None or mail.date.date() - last > months * _MONTH


def _last_seen(file: Path | None) -> dict[str, date] | None:
    """Raises InfraError for a file that is not there or is not of the form: then nobody is known to be silent."""
    if file is None:
        return None
    last: dict[str, date] = {}
    try:
        with file.open("rb") as lines:
            for line in lines.read(_MOST_SEEN).decode().splitlines():
                if line.strip():
                    email, day = line.lower().split()
                    last[email] = max(last.get(email, date.min), date.fromisoformat(day))
    except (OSError, ValueError) as exc:
        raise InfraError(f"cc_maintainers.last_seen: {exc}") from None
    return last
