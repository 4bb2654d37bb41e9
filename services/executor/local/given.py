"""What is to be looked at: a range of commits, a folder of patches, a mailbox, or a series at some address."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urljoin

from services.executor.local.addresses import mails_at, origin
from services.executor.local.clone import Clone, Nothing, linear, parent
from services.executor.local.thread import Letters, letters
from shared.errors import Missing, NetciError, Refused
from shared.formats.mbox import parse_mail, split_mbox, unpacked
from shared.formats.validate import validate
from shared.git.apply import Applied, NotApplied, apply_series
from shared.git.store import Store
from shared.http import Answer, Http
from shared.model.ids import Sha
from shared.model.mails import Person

_MOST = 64 << 20
_PATCHES = 500
_UNSENT = ("@{upstream}..HEAD", "@{upstream}..", "@{u}..HEAD", "@{u}..")
_BASE = re.compile(r"^base-commit: ([0-9a-f]{40})\s*$", re.M)


@dataclass(frozen=True, slots=True)
class Given:
    """A series with its commits, one of each patch. `sent` says that the mails are as they went, or will go, out:
    else they were made here, and neither subject tags nor a cover letter can be expected of them. `on` is what a
    person calls the base, "" if nobody has a name for it; `notes` are worth knowing.
    """

    letters: Letters
    base: Sha
    commits: tuple[Sha, ...]
    sent: bool
    on: str = ""
    notes: tuple[str, ...] = ()


class Done(NetciError):
    """There is nothing to look at, and that is well."""


async def given(what: str, clone: Clone, store: Store, base: str) -> Given:
    """The series that `what` means, applied to `base` if it came as mails. Raises Refused, in words for its author, or
    Done where upstream has all.
    """
    if what.startswith(("http://", "https://")):
        return await _applied(await fetched(what), clone, store, base)
    if what and Path(what).is_dir():
        return await _applied(_folder(Path(what)), clone, store, base)
    if what and Path(what).is_file():
        return await _applied(_mails(Path(what)), clone, store, base)
    if base:
        raise Refused(f"--base is for mails; the commits {what or '@{upstream}..HEAD'} have a base of their own")
    try:
        return await _range(what or await _default(clone), clone, store)
    except Nothing:
        if what not in ("", *_UNSENT):
            raise
    raise Done(f"nothing to check: HEAD has no commit that {await clone.upstream()} has not")


async def _default(clone: Clone) -> str:
    if not await clone.upstream():
        raise Refused(
            "the branch has no upstream, so it is not known which commits are yours: "
            "give them, as `netci check HEAD~3..` (or a folder of patches, a mailbox, an address)"
        )
    return _UNSENT[0]


# Commits


async def _range(what: str, clone: Clone, store: Store) -> Given:
    start, end = await _ends(what, clone, store)
    commits = await linear(store, start, end)
    base = await parent(store, commits[0])
    made = await store.git(
        "format-patch", "--stdout", "--no-signature", "--find-renames", "--numbered", "--always",
        f"{base}..{commits[-1]}", "--", max_out=_MOST, timeout=120,
    )  # fmt: skip
    mails = tuple(map(parse_mail, split_mbox(made.out)))
    if len(mails) != len(commits):
        raise Refused(f"git wrote {len(mails)} mails of {len(commits)} commits")
    return Given(Letters(mails), base, tuple(commits), sent=False, on=await _called(what, base, clone))


async def _ends(what: str, clone: Clone, store: Store) -> tuple[Sha, Sha]:
    """The commit before a range and its last, as git's commands for patches understand ``A..B``, ``A...B`` (what B has
    since it left A), ``A^!`` and ``A``: that commit alone.
    """
    first, dots, last = what.partition("..")
    if not dots:
        try:
            commit = await clone.commit(what.removesuffix("^!"))
        except Refused:
            raise Refused(f"{what!r} is neither a folder, nor a file, nor commits such as HEAD~3..HEAD") from None
        return await parent(store, commit), commit
    end = await clone.commit(last.removeprefix(".") or "HEAD")
    start = await clone.commit(first or "HEAD")
    if last.startswith("."):
        common = await store.merge_base(start, end)
        if common is None:
            raise Refused(f"{first or 'HEAD'} and {last[1:] or 'HEAD'} have no commit in common")
        start = common
    return start, end


async def _called(what: str, base: Sha, clone: Clone) -> str:
    """The name that a range has for its base, a branch's where it says no more than that it is followed."""
    first, dots, _ = what.partition("..")
    if not dots or await clone.commit(first or "HEAD") != base:
        return ""
    return await clone.upstream() if what in _UNSENT else first or "HEAD"


# Mails


def _folder(path: Path) -> list[bytes]:
    files = sorted(file for file in path.iterdir() if file.suffix in (".patch", ".eml", ".mbox") and file.is_file())
    if not files:
        raise Refused(f"{path} has no *.patch, as `git format-patch -o {path}` writes them")
    if len(files) > _PATCHES:
        raise Refused(f"{path} has more than {_PATCHES} patches")
    return [mail for file in files for mail in _mails(file)]


def _mails(path: Path) -> list[bytes]:
    """Raises Refused, with the name of the file, if it holds something else."""
    mails = split_mbox(_read(path))
    try:
        for mail in mails:
            parse_mail(mail)
    except Refused as exc:
        raise Refused(f"{path}: {exc}") from None
    return mails


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST:
            raise Refused(f"{path} is larger than {_MOST} bytes")
        data = path.read_bytes()
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from None
    return unpacked(data, _MOST)


async def fetched(url: str) -> list[bytes]:
    """The mails of a series at an address; a page of netci's says where it came from."""
    async with Http("the series' address", timeout=60) as http:
        for _ in range(2):
            address = mails_at(url)
            answer = await _get(http, address)
            if answer.kind != "application/json":
                mails = split_mbox(unpacked(answer.body, _MOST))
                if answer.kind == "text/html" or not mails:
                    raise Refused(f"{address} is no mailbox; give the address of the series' mbox")
                return mails
            url = origin(answer.body)
            if not url:
                break
    raise Refused(f"{address} does not say where the series came from")


async def _get(http: Http, url: str) -> Answer:
    """Follows redirects, of which some public archives have several."""
    for _ in range(5):
        answer = await http.request("GET", url, limit=_MOST)
        if answer.status in (301, 302, 303, 307, 308) and answer.headers.get("location"):
            url = urljoin(url, answer.headers["location"])
            if not url.startswith(("http://", "https://")):
                break
            continue
        if answer.status == 404:
            raise Missing(f"there is nothing at {url}")
        if answer.status != 200:
            raise Refused(f"{url} answered {answer.status}")
        return answer
    raise Refused(f"{url} leads from one address to the next")


async def _applied(mails: list[bytes], clone: Clone, store: Store, base: str) -> Given:
    series = letters(mails)
    start, on = await _start(series, clone, store, base)
    done = await _apply(series, start, store)
    notes = [f"of versions {', '.join(f'v{one}' for one in (*series.older, series.version))} the newest is looked at"]
    notes = notes if series.older else []
    if on == "HEAD" and _had(done) and (before := await _before(start, clone, store)):
        notes.append(f"HEAD has the series already: it is looked at where {before[1]} ends")
        start, on = before
        done = await _apply(series, start, store)
    if isinstance(done, NotApplied):
        raise Refused(
            f"patch {done.number} ({done.subject}) does not apply to {start[:12]}: {done.reason}"
            "\nname the commit that the series is made for: --base REV"
        )
    if done.skipped:
        numbers = ", ".join(map(str, done.skipped))
        raise Refused(f"{start[:12]} has patch {numbers} already\nname the commit before the series: --base REV")
    return Given(series, start, done.commits, sent=True, on=on, notes=tuple(notes))


async def _apply(series: Letters, start: Sha, store: Store) -> Applied | NotApplied:
    return await apply_series(
        store, start, [mail.raw for mail in series.patches],
        committer=Person("netci check", "netci@localhost"), now=datetime.now(UTC), validate=validate,
    )  # fmt: skip


def _had(done: Applied | NotApplied) -> bool:
    return done.already if isinstance(done, NotApplied) else bool(done.skipped)


async def _before(head: Sha, clone: Clone, store: Store) -> tuple[Sha, str] | None:
    """Where the commits of the branch that is checked out begin, and the branch that it follows."""
    name = await clone.upstream()
    start = await store.merge_base(head, await clone.commit(name)) if name else None
    return (start, name) if start and start != head else None


async def _start(series: Letters, clone: Clone, store: Store, base: str) -> tuple[Sha, str]:
    """What the person says, else what the mails say if the clone has it, else what is checked out; and its name."""
    if base:
        return await clone.commit(base), base
    for mail in (series.cover, *series.patches):
        found = _BASE.search(mail.body) if mail else None
        if found and await store.has(Sha(found[1])):
            return Sha(found[1]), "the base that the mails name"
    return await clone.commit("HEAD"), "HEAD"
