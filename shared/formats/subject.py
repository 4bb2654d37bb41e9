"""Subject lines of patch mail: which version, which patch of how many, for which trees, titled what.

Reads what people write (``[PATCH net-next v2 1/3] tcp: x``) and what Patchwork makes of it
(``[net-next,v2,1/3] tcp: x``). Brackets are taken apart into words, never searched: ``ethernet`` does not name
``net``, and a bracket later in the title is title. Knows nothing of mail headers.
"""

import re

from shared.model.mails import Subject

_RAW_KEPT = 4096
_REPLY = re.compile(r"(?:re|aw|sv|fwd?|antw|vs|回复|答复)(?:\[[0-9]{1,3}\])?\s{0,8}[:：]\s*", re.I)
_GROUP = re.compile(r"\[([^\[\]]*)\]\s*")
_SPLIT = re.compile(r"[\s,/]+")
_COUNT = re.compile(r"(?<![^\s,])([0-9]{1,5})/([0-9]{1,5})(?![^\s,])")
_VERSION = re.compile(r"v([0-9]{1,4})", re.I)
_GLUED = re.compile(r"(rfc|patch)(?:[-_.]?v([0-9]{1,4}))?", re.I)
_FLAGS = {"rfc": "rfc", "resend": "resend", "pull": "pull", "git": "", "patch": "", "repost": "resend"}


def parse_subject(text: str) -> Subject:
    """The parts of an unfolded or folded, already decoded subject line. Never raises.

    Only the brackets at the beginning count, around any ``Re:``; several in a row are one prefix. The first
    ``n/m`` counts; 5/4 is possible and says what it says. A list that leaves PATCH out, as Patchwork does, is
    read the same.
    """
    raw = " ".join(text[:_RAW_KEPT].split())
    rest, reply = _strip_reply(raw)
    words: list[str] = []
    number = total = None
    while group := _GROUP.match(rest):
        inside, rest = group[1], rest[group.end() :]
        if found := _COUNT.search(inside):
            number, total = (int(found[1]), int(found[2])) if number is None else (number, total)
            inside = f"{inside[: found.start()]} {inside[found.end() :]}"
        words += [word for word in _SPLIT.split(inside) if word]
        late, again = _strip_reply(rest)
        rest, reply = (late, True) if again else (rest, reply)
    return _assemble(raw, rest, words, number, total, reply)


def _strip_reply(text: str) -> tuple[str, bool]:
    reply = False
    while found := _REPLY.match(text):
        text, reply = text[found.end() :], True
    return text, reply


def _assemble(raw: str, title: str, words: list[str], number: int | None, total: int | None, reply: bool) -> Subject:
    flags: set[str] = set()
    tags: list[str] = []
    version = 1
    for word in words:
        if found := _VERSION.fullmatch(word):
            version = int(found[1])
        elif word.lower() in _FLAGS:
            flags.add(_FLAGS[word.lower()])
        elif found := _GLUED.fullmatch(word):
            flags.add("rfc" if found[1].lower() == "rfc" else "")
            version = int(found[2] or version)
        else:
            tags.append(word)
    return Subject(
        raw, title.strip(), tuple(tags), version, number, total,
        rfc="rfc" in flags, resend="resend" in flags, pull="pull" in flags, reply=reply,
    )  # fmt: skip


def render_subject(subject: Subject) -> str:
    """The line git format-patch would write for `subject`, for logs and tests: parsing it gives it back."""
    words = ["RESEND"] * subject.resend
    words += ["GIT", "PULL"] if subject.pull else ["RFC", "PATCH"] if subject.rfc else ["PATCH"]
    words += subject.tags
    words += [f"v{subject.version}"] if subject.version != 1 else []
    words += [] if subject.number is None else [f"{subject.number}/{subject.total}"]
    return f"{'Re: ' * subject.reply}[{' '.join(words)}] {subject.title}"
