"""Refs at a remote: what they are called, and how they come there exactly once.

An applied series is published under a tag made of its message id. It refuses to know what the commits are for.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from shared.errors import Refused, Transient
from shared.git.names import check_ref, check_sha
from shared.git.process import TRUSTED, GitError, GitTimeout, Ran, SshKey, run
from shared.git.store import Store
from shared.model.ids import Sha

SERIES = "refs/tags/netci/"
"""Below this is one ref for each applied series."""

# Together with ".lock", which git appends while it writes, a name stays below the 255 bytes of a file system.
_LONGEST = 200
_KEPT = 128

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,!$&'()@;")
_BATCH = 200
_DOT = 0x2E


def series_ref(message_id: str) -> str:
    """The ref of the series with this message id (without angle brackets); different ids have different refs.

    Every byte that git or a file system dislikes is percent-encoded, as is the percent sign; dots only where git
    forbids them. A name that would be longer than 200 bytes keeps its first 128 and ends in ``%h`` and the SHA-256
    of the id, which no encoding yields. Refused for an empty id.
    """
    if not message_id:
        raise Refused("a series without a message id has no ref")
    data = message_id.encode("utf-8", "surrogatepass")
    name = "".join(_encoded(data))
    if len(name) > _LONGEST:
        name = f"{_cut(name)}%h{hashlib.sha256(data).hexdigest()}"
    return SERIES + name


def message_id_of(ref: str) -> str | None:
    """The message id of which `ref` was made; None for other refs, and for names shortened by a hash."""
    name = ref.removeprefix(SERIES)
    if name == ref or "%h" in name:
        return None
    try:
        message_id = unquote_to_bytes(name).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    return message_id if message_id and series_ref(message_id) == ref else None


def _encoded(data: bytes) -> Iterator[str]:
    for at, byte in enumerate(data):
        plain = _dot_is_fine(data, at) if byte == _DOT else byte in _PLAIN
        yield chr(byte) if plain else f"%{byte:02X}"


def _dot_is_fine(data: bytes, at: int) -> bool:
    """git forbids a dot at either end of a name, next to another one, and in a final ``.lock``."""
    rest = data[at + 1 :]
    return at > 0 and rest != b"" and data[at - 1] != _DOT and rest[0] != _DOT and rest != b"lock"


def _cut(name: str) -> str:
    """The first part, without half of an escape, and without a dot at its end."""
    return re.sub(r"%[0-9A-F]?$", "", name[:_KEPT]).rstrip(".")


async def ls_remote(
    store: Store, url: str, *patterns: str, key: SshKey | None = None, timeout: float = 120
) -> dict[str, Sha]:
    """The remote's refs that match one of `patterns` (all without), and the objects they name. Transient if away."""
    env = {**(key.environment() if key else {}), "GIT_LITERAL_PATHSPECS": "0"}
    command = ("ls-remote", "--quiet", "--refs", "--", url, *patterns)
    try:
        ran = await run(store.path, *command, env=env, protocols=TRUSTED, timeout=timeout, leash=True)
    except GitError as error:
        raise Transient(f"asking {url} for its refs: {error.stderr.strip()[-500:] or error}") from error
    pairs = (line.partition("\t") for line in ran.text.split("\n") if line)
    return {ref: Sha(sha) for sha, _, ref in pairs}


async def push(
    store: Store,
    url: str,
    refs: Mapping[str, Sha],
    *,
    absent: bool,
    key: SshKey | None = None,
    timeout: float = 600,
) -> None:
    """Make each of `refs` name its commit at the remote, some hundred at a time.

    With `absent` a ref must be absent, or at that commit already; else what is there is overwritten. After a
    failure the remote is asked what it has, because it may have taken the push and lost the answer: then only what
    is missing is pushed again, once. Refused (hints `ref`, `found`) when a ref names another commit; Transient
    when refs are still missing.
    """
    for batch in _batches(refs):
        todo = batch
        for _ in range(2):
            failure = await _push(store, url, _refspecs(todo, absent), key, timeout)
            if failure is None:
                break
            todo = await _missing(store, url, batch, absent, failure, key)
            if not todo:
                break
        else:
            raise Transient(f"{url} did not take {', '.join(list(todo)[:3])}: {failure}")


def _batches(refs: Mapping[str, Sha]) -> Iterator[dict[str, Sha]]:
    items = [(check_ref(ref), check_sha(sha)) for ref, sha in refs.items()]
    return (dict(items[at : at + _BATCH]) for at in range(0, len(items), _BATCH))


def _refspecs(refs: Mapping[str, Sha], absent: bool) -> list[str]:
    """With a lease that expects nothing, the remote itself refuses what has come there meanwhile."""
    leases = [f"--force-with-lease={ref}:" for ref in refs] if absent else ["--force"]
    return [*leases, "--", "", *(f"{sha}:{ref}" for ref, sha in refs.items())]


async def _push(store: Store, url: str, words: Sequence[str], key: SshKey | None, timeout: float) -> str | None:
    """Push; None when all went well, else git's words."""
    env = key.environment() if key else {}
    args = [url if word == "" else word for word in words]
    command = ("push", "--quiet", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
    try:
        ran = await run(store.path, *command, *args, env=env, protocols=TRUSTED, timeout=timeout, leash=True, ok=(0, 1))
    except GitTimeout as error:
        return str(error)
    except GitError as error:
        return error.stderr.strip()[-1000:] or str(error)
    return None if ran.rc == 0 else _why_not(ran)


def _why_not(ran: Ran) -> str:
    """What the remote said of the refs that it refused stands on lines of their own, everything else on stderr."""
    refused = [line.rpartition("\t")[2] for line in ran.text.split("\n") if line.startswith("!")]
    said = [*dict.fromkeys(refused), ran.err.strip()]
    return "; ".join(text for text in said if text)[:1000] or "git push ended with 1"


async def _missing(
    store: Store, url: str, refs: Mapping[str, Sha], absent: bool, failure: str, key: SshKey | None
) -> dict[str, Sha]:
    """What the remote has not taken; Refused when something else stands where nothing may."""
    there = await ls_remote(store, url, *refs, key=key)
    todo = {ref: sha for ref, sha in refs.items() if there.get(ref) != sha}
    taken = [ref for ref in todo if ref in there]
    if absent and taken:
        ref = taken[0]
        raise Refused(f"{ref} exists at {url} with another commit, {there[ref]}", ref=ref, found=there[ref])
    return todo


async def delete_remote(
    store: Store, url: str, refs: Iterable[str], *, key: SshKey | None = None, timeout: float = 600
) -> None:
    """Delete refs at the remote; those that are not there are no matter. Transient when some are left."""
    names = [check_ref(ref) for ref in refs]
    for at in range(0, len(names), _BATCH):
        some = names[at : at + _BATCH]
        present = await ls_remote(store, url, *some, key=key)
        gone = [ref for ref in some if ref in present]
        failure = await _push(store, url, ["--", "", *(f":{ref}" for ref in gone)], key, timeout) if gone else None
        if failure and await ls_remote(store, url, *gone, key=key):
            raise Transient(f"{url} did not delete {gone[0]}: {failure}")
