"""Pull requests against real servers on loopback: git's own daemon, git over TLS, and some that misbehave."""

import contextlib
import http.server
import os
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from shared.errors import Refused, Transient
from shared.git.pulls import check_pull_ref, fetch_pull, parse_address
from shared.git.store import Store
from shared.model.ids import Sha
from shared.net import Reach
from tests.shared.git.build import a_store, a_tree, commit, git, head

LIST = ["pull.example/pub/"]


async def loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


NEARBY = Reach((ip_network("127.0.0.0/8"),), resolve=loopback)


@contextlib.contextmanager
def a_server(handler: type[socketserver.BaseRequestHandler], wrap: ssl.SSLContext | None = None) -> Iterator[int]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), handler) as server:
        if wrap:
            server.socket = wrap.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def daemon(root: Path) -> type[socketserver.BaseRequestHandler]:
    class Daemon(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            command = ["git", "daemon", "--inetd", "--export-all", f"--base-path={root}", "--log-destination=none"]
            env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "REMOTE_ADDR": "127.0.0.1"}
            wire = self.request.fileno()
            subprocess.run(command, stdin=wire, stdout=wire, env=env, check=False, stderr=subprocess.DEVNULL)

    return Daemon


async def a_pull(tmp_path: Path, commits: int = 2) -> tuple[Store, Sha]:
    """A store with the base, and pub/tree with commits on it, and a signed-off tag."""
    tree = a_tree(tmp_path / "root/pub/tree")
    store, _ = await a_store(tmp_path / "store.git", tree)
    for number in range(commits):
        commit(tree, f"pulled {number}", {"net/pulled.c": f"{number}\n"})
    git(tree, "tag", "-a", "-m", "please pull", "for-net")
    return store, head(tree)


async def pull(store: Store, port: int, *, ref: str = "for-net", **more: object) -> Sha:
    options: dict[str, object] = {"allowed": [f"pull.example:{port}/pub/"], "timeout": 20.0, **more}
    url = f"git://pull.example:{port}/pub/tree"
    return await fetch_pull(store, url, ref, reach=NEARBY, **options)  # type: ignore[arg-type]


async def test_a_pull_is_fetched_by_tag_branch_and_commit(tmp_path: Path) -> None:
    store, tip = await a_pull(tmp_path)
    before = await store.refs()
    with a_server(daemon(tmp_path / "root")) as port:
        assert await pull(store, port, ref="main") == tip
        assert await pull(store, port, ref="tags/for-net") == tip
        assert await pull(store, port, ref=tip) == tip
    assert await store.has(tip)
    assert await store.refs() == before
    assert list((store.path / "netci").iterdir()) == []


async def test_a_ref_that_is_not_there(tmp_path: Path) -> None:
    store, _ = await a_pull(tmp_path)
    with a_server(daemon(tmp_path / "root")) as port, pytest.raises(Refused, match="no such ref"):
        await pull(store, port, ref="nothing")


async def test_a_server_that_is_away(tmp_path: Path) -> None:
    store, _ = await a_pull(tmp_path)
    with a_server(daemon(tmp_path / "root")) as port:
        pass
    with pytest.raises(Transient):
        await pull(store, port)


async def test_too_many_commits(tmp_path: Path) -> None:
    store, tip = await a_pull(tmp_path, commits=6)
    with a_server(daemon(tmp_path / "root")) as port:
        with pytest.raises(Refused, match="more than 5 commits"):
            await pull(store, port, max_commits=5)
        assert not await store.has(tip)
        assert await pull(store, port, max_commits=6) == tip


async def test_too_many_bytes(tmp_path: Path) -> None:
    store, _ = await a_pull(tmp_path)
    tree = tmp_path / "root/pub/tree"
    (tree / "big").write_bytes(os.urandom(3 << 20))
    tip = commit(tree, "big", {})
    with a_server(daemon(tmp_path / "root")) as port, pytest.raises(Refused, match="larger than"):
        await pull(store, port, ref="main", max_bytes=1 << 20)
    assert not await store.has(tip)
    assert list((store.path / "netci").iterdir()) == []


def an_evil_commit(tree: Path) -> str:
    """On branch evil: a tree that has a `.git` in it."""
    blob = git(tree, "hash-object", "-w", "--stdin", stdin=b"[core]\n")
    inner = git(tree, "mktree", stdin=f"100644 blob {blob}\tconfig\n".encode())
    evil = git(tree, "mktree", stdin=f"040000 tree {inner}\t.git\n".encode())
    tip = git(tree, "commit-tree", "-m", "evil", "-p", "main", evil)
    git(tree, "branch", "evil", tip)
    return tip


async def test_objects_that_are_not_sound(tmp_path: Path) -> None:
    store, _ = await a_pull(tmp_path)
    tip = an_evil_commit(tmp_path / "root/pub/tree")
    with a_server(daemon(tmp_path / "root")) as port, pytest.raises(Refused, match="not sound"):
        await pull(store, port, ref="evil")
    assert not await store.has(Sha(tip))


async def test_objects_are_checked_again_on_their_way_into_the_store(tmp_path: Path) -> None:
    store, _ = await a_pull(tmp_path)
    tree = tmp_path / "root/pub/tree"
    tip = Sha(an_evil_commit(tree))
    with pytest.raises(Transient, match="hasDotgit"):
        await store.fetch_commit(tree, tip, settings={"fetch.fsckObjects": "true"})
    assert not await store.has(tip)


class Silent(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(65536):
            pass


class Endless(socketserver.BaseRequestHandler):
    """Advertises refs for ever."""

    def handle(self) -> None:
        self.request.recv(4096)
        line = b"%s refs/heads/x\n" % (b"a" * 40)
        with contextlib.suppress(OSError):
            while True:
                self.request.sendall(b"%04x%s" % (len(line) + 4, line))


class Chatter(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(4096)
        with contextlib.suppress(OSError):
            self.request.sendall(b"220 welcome to the mail server\r\n" * 100)


@pytest.mark.parametrize("handler", [Silent, Endless])
async def test_endless_servers_end(tmp_path: Path, handler: type[socketserver.BaseRequestHandler]) -> None:
    store, _ = await a_pull(tmp_path)
    with a_server(handler) as port, pytest.raises(Refused, match="come to an end"):
        await pull(store, port, timeout=1.0)


async def test_a_server_of_something_else(tmp_path: Path) -> None:
    store, _ = await a_pull(tmp_path)
    with a_server(Chatter) as port, pytest.raises(Refused, match="protocol"):
        await pull(store, port)


# https


def a_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pull.example",
         "-addext", "subjectAltName=DNS:pull.example", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def smart_http(root: Path) -> type[http.server.BaseHTTPRequestHandler]:
    """git's own CGI program behind a web server; /pub/moved answers with a redirect."""

    class Web(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/pub/moved"):
                self.send_response(302)
                self.send_header("Location", self.path.replace("moved", "tree", 1))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            env = {
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null", "REQUEST_METHOD": self.command, "PATH_INFO": path,
                "QUERY_STRING": query, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            ran = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
            head_, _, content = ran.stdout.partition(b"\r\n\r\n")
            length = b"\r\nContent-Length: %d" % len(content)
            self.wfile.write(b"HTTP/1.0 200 OK\r\n" + head_ + length + b"\r\n\r\n" + content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Web


async def test_https_is_tied_to_the_address_that_was_checked(tmp_path: Path) -> None:
    store, tip = await a_pull(tmp_path)
    context, cert = a_certificate(tmp_path)
    with a_server(smart_http(tmp_path / "root"), context) as port:
        done = await fetch_pull(
            store, f"https://pull.example:{port}/pub/tree/.git", "for-net", allowed=[f"pull.example:{port}/pub"],
            reach=NEARBY, timeout=20, settings={"http.sslCAInfo": str(cert)},
        )  # fmt: skip
    assert done == tip


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    store, tip = await a_pull(tmp_path)
    context, cert = a_certificate(tmp_path)
    with a_server(smart_http(tmp_path / "root"), context) as port, pytest.raises(Refused, match="another address"):
        await fetch_pull(
            store, f"https://pull.example:{port}/pub/moved/.git", "for-net", allowed=[f"pull.example:{port}/pub"],
            reach=NEARBY, timeout=20, settings={"http.sslCAInfo": str(cert)},
        )  # fmt: skip
    assert not await store.has(tip)


# What is asked before any contact


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch owned", "-x", "", "file:///etc", "/etc", "ssh://git@pull.example/pub/x", "http://pull.example/pub/x",
        "git@pull.example:pub/x", "ext::sh -c id", "https://user:pw@pull.example/pub/x", "https://pull.example/pub/../x",
        "https://pull.example/pub/%2e%2e/x", "https://pull.example/pub/x?y", "https://pull.example/pub/x#y", "https://pull.example",
        "https://pull.example:99999/pub/x", "https://pull.example/pub/x\n", "https://pull.example /pub/x", "https://[::1]/pub/x",
        "https://evil.example/pub/x", "https://pull.example.evil/pub/x", "https://pull.example/public/x", "https://pull.example:1/pub/x",
        "https://pull.example/pub//x", "git://-x/pub/x",
    ],
)  # fmt: skip
async def test_addresses_that_are_refused_without_any_contact(tmp_path: Path, url: str) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"asked for {host}")

    with pytest.raises(Refused):
        await fetch_pull(Store(tmp_path / "store.git"), url, "main", allowed=LIST, reach=Reach(resolve=never))
    assert not list(tmp_path.rglob("owned"))


def test_an_empty_list_pulls_nothing() -> None:
    with pytest.raises(Refused, match="pull_from is empty"):
        parse_address("https://pull.example/pub/x", [])


def test_addresses_on_the_list() -> None:
    assert parse_address("HTTPS://Pull.Example/pub/a/b.git", LIST).place == "pull.example/pub/a/b.git"
    assert parse_address("git://pull.example:9418/pub", LIST).place == "pull.example/pub"


@pytest.mark.parametrize("ref", ["-x", "+main", "main:refs/heads/x", "a b", "", "a..b", "^x", "x*", "a\nb", "x.lock"])
async def test_refs_that_are_refused(ref: str) -> None:
    with pytest.raises(Refused):
        check_pull_ref(ref)


@pytest.mark.parametrize("ip", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"])
async def test_private_networks_are_refused(tmp_path: Path, ip: str) -> None:
    async def there(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", ip]

    store = Store(tmp_path / "store.git")
    with pytest.raises(Refused, match="private network"):
        await fetch_pull(store, "https://pull.example/pub/x", "main", allowed=LIST, reach=Reach(resolve=there))


async def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="resolved"):
        await fetch_pull(
            Store(tmp_path / "store.git"),
            "https://no.such.host.invalid/pub/x",
            "main",
            allowed=["no.such.host.invalid/pub"],
        )
