"""Pull requests: a stranger names a repository, and we fetch from it. What is asked before, and what bounds it.

An address parses as https or git, is on the project's list, and leads to no private network; the name is resolved
here once and git is tied to that address, so that no second answer can lead elsewhere. The objects come into a
quarantine of their own under limits of time, size, memory and commits, are checked, and only then reach the store.
It refuses to know whose pull request it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Refused, Transient
from shared.formats.diff_paths import path_faults
from shared.git.names import check_ref
from shared.git.process import GitError, GitFlood, GitTimeout, Limits, run
from shared.git.store import FETCH, Store
from shared.model.ids import Sha, is_sha
from shared.net import Reach

_ADDRESS = re.compile(r"(https|git)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([0-9]{1,5}))?/([A-Za-z0-9._~+/-]+)")
_PORTS = {"https": 443, "git": 9418}
_OPEN_INTERNET = Reach()
_TARGET = "refs/netci/pull"
_MEMORY = 2 << 30

_SETTINGS: Mapping[str, str] = {
    "fetch.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    # A pack is one file, which a limit can bound; below this number git would write files without one.
    "fetch.unpackLimit": "1",
    "http.followRedirects": "false",
    "http.proxy": "",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "core.packedGitLimit": "256m",
    "core.packedGitWindowSize": "16m",
    "core.bigFileThreshold": "16m",
}

_MEANINGS = (
    (re.compile(r"couldn't find remote ref|no such ref"), "there is no such ref"),
    (re.compile(r"[Ff]sck|index-pack|unpack-objects|invalid object|corrupt|bad object|pack has|fatal: pack"),
     "its objects are not sound"),
    (re.compile(r"[Oo]ut of memory|malloc|mmap failed"), "it needs more memory than allowed"),
    (re.compile(r"redirect|unable to update url base|returned error: 30\d"), "it leads to another address"),
    (re.compile(r"protocol error|bad line length|expected .*packet|invalid .*response|not valid"),
     "it does not speak git's protocol"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PullAddress:
    """A parsed address that is on the list."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """Host and path as the list has them; the port is named when it is not the scheme's own."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.host}{port}/{self.path}"


def parse_address(url: str, allowed: Sequence[str]) -> PullAddress:
    """The address of a pull request. Refused, with the reason, unless https or git and below one of `allowed`.

    An entry is a host and a path, ``git.kernel.org/pub/scm/linux/kernel/git/``; it covers what is below it.
    """
    if not allowed:
        raise Refused("this project fetches no pull requests: its pull_from is empty")
    scheme, colon, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    match = _ADDRESS.fullmatch(f"{scheme.lower()}{colon}{host.lower()}{slash}{path}")
    if not match:
        raise Refused(f"{url[:200]!r} is no address of a repository by https or git")
    port = int(match[3] or _PORTS[match[1]])
    address = PullAddress(match[1], match[2], port, match[4])
    if not 0 < port < 65536 or any(part in ("", ".", "..") for part in match[4].rstrip("/").split("/")):
        raise Refused(f"{url[:200]!r} is no plain address")
    if not any(_covers(entry, address.place) for entry in allowed):
        raise Refused(f"{address.place} is not on the project's list of places to pull from")
    return address


def _covers(entry: str, place: str) -> bool:
    host, _, path = entry.partition("/")
    entry = f"{host.lower()}/{path}".rstrip("/")
    return place == entry or place.startswith(f"{entry}/")


def check_pull_ref(ref: str) -> str:
    """The ref of a pull request, which may be short (``tags/net-6.13``) or a commit id; else Refused."""
    if ref.startswith(("+", "-")):
        raise Refused(f"{ref[:200]!r} is not a well-formed ref")
    check_ref(f"refs/heads/{ref}")
    return ref


async def fetch_pull(
    store: Store,
    url: str,
    ref: str,
    *,
    allowed: Sequence[str],
    max_commits: int = 1000,
    max_bytes: int = 256 << 20,
    timeout: float = 300,
    reach: Reach = _OPEN_INTERNET,
    settings: Mapping[str, str] | None = None,
) -> Sha:
    """Bring the commit that `ref` is at `url` into the store, and say which it is; it has no ref there.

    Refused, with words for a person, when the address, the ref, the objects or their amount are not acceptable, or
    the remote does not come to an end; Transient when it is away. `settings` are for git, as a certificate.
    """
    address = parse_address(url, allowed)
    check_pull_ref(ref)
    ip, *_ = await reach.addresses(address.host, address.port)
    with store.scratch() as folder:
        await _make_quarantine(store, folder)
        head = await _fetch(folder, address, ip, ref, max_bytes, timeout, settings or {})
        await _bound(folder, head, address, max_commits, max_bytes)
        return await _take(store, folder, head, address)


async def _make_quarantine(store: Store, folder: Path) -> None:
    """A repository that sees the store's objects, so that only news travel, and writes none there."""
    await run(None, "init", "--bare", "--quiet", "--template=", "--", str(folder), cwd=folder)
    alternates = folder / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{store.path}/objects\n")


def _tied(address: PullAddress, ip: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Address, settings and environment that make git talk to `ip` and to nothing else."""
    bracketed = f"[{ip}]" if ":" in ip else ip
    if address.scheme == "git":
        return f"git://{bracketed}:{address.port}/{address.path}", {}, {"GIT_OVERRIDE_VIRTUAL_HOST": address.host}
    pin = {"http.curloptResolve": f"{address.host}:{address.port}:{bracketed}"}
    direct = dict.fromkeys(("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy"), "")
    return f"https://{address.host}:{address.port}/{address.path}", pin, direct


async def _fetch(
    folder: Path, address: PullAddress, ip: str, ref: str, max_bytes: int, timeout: float, more: Mapping[str, str]
) -> Sha:
    url, pin, env = _tied(address, ip)
    try:
        await run(
            folder, *FETCH, "--", url, f"+{ref}:{_TARGET}",
            env=env, settings={**_SETTINGS, **more, **pin}, protocols=address.scheme,
            timeout=timeout, leash=True, limits=Limits(max_bytes, _MEMORY),
        )  # fmt: skip
        ran = await run(folder, "rev-parse", "--verify", "--quiet", f"{_TARGET}^{{commit}}", ok=(0, 1, 128))
    except GitTimeout as error:
        raise Refused(f"{address.place} did not come to an end within {timeout:g} s") from error
    except GitError as error:
        # The limit kills the process that unpacks, which then says nothing; the file it wrote does.
        if _size(folder) >= max_bytes:
            raise _too_large(address, max_bytes) from error
        raise _failure(address, ref, error) from error
    if not is_sha(ran.text):
        raise Refused(f"{ref} of {address.place} is no commit")
    return Sha(ran.text)


def _failure(address: PullAddress, ref: str, error: GitError) -> Exception:
    """Refused when it is about what the remote offers, Transient when the remote may only be away."""
    said = error.stderr.strip()
    for pattern, meaning in _MEANINGS:
        if pattern.search(said):
            return Refused(f"{ref} of {address.place} is not taken: {meaning} ({said[-200:]})")
    return Transient(f"fetching {ref} of {address.place} failed: {said[-300:] or error}")


async def _bound(folder: Path, head: Sha, address: PullAddress, max_commits: int, max_bytes: int) -> None:
    """What came is not more than may come, however it was split into files."""
    if _size(folder) > max_bytes:
        raise _too_large(address, max_bytes)
    words = ("rev-list", "--count", f"--max-count={max_commits + 1}", head, "--not", "--alternate-refs")
    if int((await run(folder, *words)).text) > max_commits:
        raise Refused(f"{address.place} is not taken: it has more than {max_commits} commits that we lack")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "objects").rglob("*") if path.is_file())


def _too_large(address: PullAddress, max_bytes: int) -> Refused:
    return Refused(f"{address.place} is not taken: it is larger than {max_bytes} bytes")


async def _take(store: Store, folder: Path, head: Sha, address: PullAddress) -> Sha:
    """From the quarantine into the store, each object checked: not every protocol did so on the way."""
    try:
        return await store.fetch_commit(folder, head, settings={"fetch.fsckObjects": "true"})
    except Transient as error:
        raise Refused(f"{address.place} is not taken: its objects are not sound ({error})") from error


async def check_paths(store: Store, head: Sha, ours: Sequence[Sha]) -> None:
    """Raises Refused if a commit of `head` that none of `ours` has touches a path that a mail might not touch."""
    try:
        ran = await store.git(
            "log", "-z", "--format=", "--name-only", "--no-renames", "--diff-merges=combined", "--no-show-signature",
            "--end-of-options", head, *(f"^{sha}" for sha in ours), "--", timeout=300,
        )  # fmt: skip
    except (GitFlood, GitTimeout) as error:
        raise Refused("the pull request is not taken: it touches too much to look at") from error
    for raw in dict.fromkeys(filter(None, ran.out.split(b"\0"))):
        path = raw.decode("utf-8", "replace")
        for _, text in path_faults(path, path):
            raise Refused(f"the pull request is not taken: {text}")
