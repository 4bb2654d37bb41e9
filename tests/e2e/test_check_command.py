"""`netci check` as its user has it: a program on a clone of theirs, real git, real cages; the clone is as before."""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.house.files import ROOT
from tests.support.nobody import NOBODY, as_nobody
from tests.support.programs import program

WHO = "Ada Kernel <ada@example.com>"
SIGNED = f"\n\nWhy it is needed.\n\nSigned-off-by: {WHO}\n"
C = "/* dev */\nint one(void)\n{\n\treturn 1;\n}\n"
ENV = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada Kernel", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_COMMITTER_NAME": "Ada Kernel",
    "GIT_COMMITTER_EMAIL": "ada@example.com", "LC_ALL": "C.UTF-8",
}  # fmt: skip


def git(clone: Path, *words: str) -> str:
    ran = subprocess.run(["git", *words], cwd=clone, env=ENV, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def commit(clone: Path, title: str, files: dict[str, str], message: str = SIGNED) -> str:
    for name, text in files.items():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", title + message)
    return git(clone, "rev-parse", "HEAD")


class Author:
    """A clone of an upstream, with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clone = folder / "linux"
        upstream = folder / "upstream"
        upstream.mkdir()
        git(upstream, "init", "--quiet", "--initial-branch=main", ".")
        self.base = commit(upstream, "begin", {"net/dev.c": C, "README": "a tree\n"})
        subprocess.run(["git", "clone", "--quiet", str(upstream), str(self.clone)], env=ENV, check=True)

    def good(self) -> str:
        return commit(self.clone, "net: dev: count to two", {"net/dev.c": C + "int two;\n"})

    def bad(self) -> str:
        text = (self.clone / "net/dev.c").read_text() + "static inline int three(void) { return 3; }\n"
        return commit(self.clone, "net: dev: count to three", {"net/dev.c": text}, "\n\nNo reason.\n")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "services", "check", "--cache", str(self.folder / "cache"), *words]

    def check(self, *words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run it in the clone; what it printed and how it ended."""
        return subprocess.run(
            self.command(*words), cwd=cwd or self.clone, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=240,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def asked(self, *words: str) -> dict[str, str]:
        """State by task, from the document."""
        ran = self.check("--json", *words)
        assert ran.returncode in (0, 1), ran.stderr
        return {f"{one['check']}/{one['patch']}": one["state"] for one in json.loads(ran.stdout)["answers"]}


@pytest.fixture
def author(tmp_path: Path) -> Author:
    program("bwrap")
    return Author(tmp_path)


SOME = ("-c", "verify_signedoff", "-c", "source_inline")


def everything(clone: Path) -> list[tuple[str, int, int, str]]:
    """Every file of a clone, .git included: name, mode, time of change, and contents.

    Times of objects are left out: git, writing an object that a borrowed store has, marks that one as in use.
    """
    found = []
    for place, folders, files in os.walk(clone):
        for name in [*folders, *files]:
            path = Path(place, name)
            facts = path.lstat()
            data = "" if path.is_dir() else os.readlink(path) if path.is_symlink() else path.read_bytes().hex()
            changed = 0 if "/objects/" in str(path) else facts.st_mtime_ns
            found.append((str(path), facts.st_mode, changed, data))
    return sorted(found)


def test_by_default_it_looks_at_what_upstream_does_not_have(author: Author) -> None:
    author.good()
    author.bad()
    ran = author.check(*SOME)
    assert ran.returncode == 1, ran.stderr
    told = {tuple(line.split()[:4]) for line in ran.stdout.splitlines() if line[:4] in ("ok  ", "FAIL", "warn")}
    assert told == {
        ("ok", "verify_signedoff", "patch", "1"), ("ok", "source_inline", "patch", "1"),
        ("FAIL", "verify_signedoff", "patch", "2"), ("FAIL", "source_inline", "patch", "2"),
    }  # fmt: skip
    assert "net/dev.c:7" in ran.stdout
    assert "| static inline int three(void) { return 3; }" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("2 failed, 2 success (")
    assert "\x1b" not in ran.stdout


def test_all_that_is_quick_is_asked_and_what_judges_posting_waits_for_mails(author: Author) -> None:
    author.good()
    ran = author.check("--json")
    document = json.loads(ran.stdout)
    left = {one["check"] for one in document["unasked"]}
    assert left >= {"cc_maintainers", "signed", "series_format", "build_clang"}
    assert {"verify_signedoff", "verify_fixes", "fixes_present"} <= {one["check"] for one in document["answers"]}
    assert not left & {one["check"] for one in document["answers"]}
    assert author.asked("-c", "series_format") == {"series_format/0": "success"}


def test_nothing_in_the_clone_is_changed(author: Author) -> None:
    author.good()
    author.bad()
    (author.clone / "net/dev.c").write_text("edited, not committed\n")
    (author.clone / "untracked").write_text("mine\n")
    git(author.clone, "format-patch", "--quiet", "-o", str(author.folder / "out"), "@{upstream}")
    before = everything(author.clone)
    status = git(author.clone, "--no-optional-locks", "status", "--porcelain")
    author.asked()
    author.asked("--patches", str(author.folder / "out"), "--base", author.base)
    assert author.check("--patches", "HEAD~1..HEAD", *SOME).returncode == 1
    assert everything(author.clone) == before
    assert git(author.clone, "--no-optional-locks", "status", "--porcelain") == status


def test_a_range_a_folder_a_mailbox_and_an_address_are_one_series(author: Author) -> None:
    author.good()
    author.bad()
    out = author.folder / "out"
    git(author.clone, "format-patch", "--quiet", "-o", str(out), "--base=@{upstream}", "@{upstream}")
    mbox = author.folder / "series.mbox"
    mbox.write_text("".join(path.read_text() for path in sorted(out.iterdir())))
    expected = {
        "source_inline/1": "success", "source_inline/2": "fail", "verify_signedoff/1": "success",
        "verify_signedoff/2": "fail",
    }  # fmt: skip
    with serving(author.folder) as url:
        for given in (
            "HEAD~2..",
            "@{upstream}...HEAD",
            str(out),
            str(mbox),
            f"{url}/series.mbox",
            f"{url}/moved/series.mbox",
        ):
            assert author.asked("--patches", given, *SOME) == expected, given
    git(author.clone, "reset", "--quiet", "--hard", author.base)
    assert author.asked("--patches", str(mbox), *SOME) == expected


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The files of a folder, on loopback; below /moved/ the way to them."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            if self.path.startswith("/moved/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved"))
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_commit_alone_is_that_commit(author: Author) -> None:
    good, bad = author.good(), author.bad()
    for given, state in ((good, "success"), (f"{bad}^!", "fail"), ("HEAD", "fail")):
        assert author.asked(given, *SOME) == {"source_inline/1": state, "verify_signedoff/1": state}, given
    ran = author.check("HEAD~1", *SOME)
    assert ran.stdout.startswith(f"1 patch on {author.base[:12]}\n  1  {good[:12]}  net: dev: count to two\n\n")


def test_where_upstream_has_all_there_is_nothing_to_check_and_that_is_well(author: Author) -> None:
    for words in ((), ("@{upstream}..HEAD",)):
        ran = author.check(*words)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout == "nothing to check: HEAD has no commit that origin/main has not\n"
    assert author.asked() == {}


def test_mails_that_head_has_are_looked_at_where_upstream_ends(author: Author) -> None:
    author.good()
    author.bad()
    out = author.folder / "out"
    git(author.clone, "format-patch", "--quiet", "-o", str(out), "@{upstream}")
    ran = author.check(str(out), *SOME)
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout.splitlines()[:2] == [
        "HEAD has the series already: it is looked at where origin/main ends",
        f"2 patches on {author.base[:12]} (origin/main)",
    ]
    git(author.clone, "branch", "--quiet", "--unset-upstream")
    ran = author.check(str(out), *SOME)
    assert ran.returncode == 2
    assert "--base REV" in ran.stderr


def test_of_two_versions_in_a_folder_the_newest_and_it_says_so(author: Author) -> None:
    author.good()
    out = author.folder / "out"
    for version in ("1", "2"):
        git(author.clone, "format-patch", "--quiet", "-o", str(out), "-v", version, "@{upstream}")
    ran = author.check(str(out), *SOME)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("of versions v1, v2 the newest is looked at\n")


def test_mails_that_do_not_apply_say_so_and_what_to_do(author: Author) -> None:
    author.good()
    git(author.clone, "format-patch", "--quiet", "-o", str(author.folder / "out"), "@{upstream}")
    git(author.clone, "reset", "--quiet", "--hard", author.base)
    commit(author.clone, "other", {"net/dev.c": "something else\n"})
    ran = author.check("--patches", str(author.folder / "out"))
    assert ran.returncode == 2
    assert "does not apply" in ran.stderr
    assert "--base REV" in ran.stderr
    assert author.asked("--patches", str(author.folder / "out"), "--base", "@{upstream}", *SOME) != {}


def test_wrong_use_is_told_in_words_with_its_own_exit_code(author: Author) -> None:
    author.good()
    for words, said in (
        (("-c", "no_such"), "there is no check no_such"),
        (("--patches", "no-such..HEAD"), "has no commit 'no-such'"),
        (("--patches", "no-such-file"), "neither a folder, nor a file, nor commits"),
        (("--patches", "HEAD..HEAD"), "there is no commit between"),
        (("--tree", "/"), "/ is in no git repository; name your clone: --tree DIR"),
        (("--base", "HEAD~1", "HEAD~1.."), "--base is for mails"),
        ((str(author.clone / "README"),), f"{author.clone}/README: no mail"),
        (("--tree", "/no/such"), "is no folder"),
        (("--patches", str(author.clone)), "has no *.patch"),
        (("--config", "/no/such.toml"), "/no/such.toml"),
        (("--patches", "http://127.0.0.1:1/series.mbox"), "cannot be reached"),
    ):
        ran = author.check(*words)
        assert (ran.returncode, ran.stdout) == (2, ""), words
        assert ran.stderr.startswith("netci check: ")
        assert said in ran.stderr, words
        assert "Traceback" not in ran.stderr
    git(author.clone, "checkout", "--quiet", "--detach")
    ran = author.check()
    assert ran.returncode == 2
    assert "no upstream" in ran.stderr


def test_merges_are_refused(author: Author) -> None:
    git(author.clone, "checkout", "--quiet", "-b", "side")
    commit(author.clone, "side", {"side": "s\n"})
    git(author.clone, "checkout", "--quiet", "main")
    author.good()
    git(author.clone, "merge", "--quiet", "--no-edit", "side")
    ran = author.check()
    assert ran.returncode == 2
    assert "there is a merge" in ran.stderr


def test_the_list_says_what_each_needs_and_needs_no_clone(author: Author, tmp_path: Path) -> None:
    ran = author.check("--list", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].split()[:3] == ["CHECK", "OF", "NEEDS"]
    assert any(line.startswith("checkpatch ") for line in lines)
    assert lines[-1] == "isolation: bubblewrap"
    listed = json.loads(author.check("--list", "--json", cwd=tmp_path).stdout)
    assert {"check", "level", "needs", "help", "tools", "uses", "missing", "wants", "time_limit"} == listed[0].keys()


def test_json_lines_come_as_it_goes(author: Author) -> None:
    author.good()
    ran = author.check("--stream", *SOME)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert told[-1]["what"] == "done"
    assert {one["report"]["check"] for one in told if one["what"] == "answered"} == {
        "verify_signedoff",
        "source_inline",
    }


def test_as_a_configuration_says_scripts_included(author: Author) -> None:
    author.good()
    folder = author.folder / "own" / "patch" / "house_rule"
    folder.mkdir(parents=True)
    (folder / "info.json").write_text('{"run": ["./rule.sh"]}')
    (folder / "rule.sh").write_text('#!/bin/sh\necho "$(cat README)" >&$DESC_FD\nexit 250\n')
    (folder / "rule.sh").chmod(0o755)
    config = author.folder / "netci.toml"
    config.write_text(
        '[projects.netdev.trees.net-next]\ngit = "https://git.example.org/x.git"\n'
        f'[projects.netdev.checking]\nuse = ["house_rule", "source_inline"]\nfolders = ["{author.folder}/own"]\n'
    )
    ran = author.check("--config", str(config), "--builds", "--json")
    answers = {one["check"]: (one["state"], one["text"]) for one in json.loads(ran.stdout)["answers"]}
    assert answers["house_rule"] == ("warning", "a tree")
    assert answers["source_inline"][0] == "success"
    assert ran.returncode == 0


def test_bare_is_asked_for_and_says_the_same(author: Author) -> None:
    author.bad()
    caged = author.asked("-c", "shellcheck", *SOME)
    assert author.asked("--bare", "-c", "shellcheck", *SOME) == caged
    assert author.asked("-c", "shellcheck", *SOME) == caged


def test_a_missing_tool_is_neither_good_nor_bad(author: Author) -> None:
    author.good()
    folder = author.folder / "own"
    folder.mkdir()
    (folder / "info.json").write_text('{"run": ["./rule.sh"], "needs": ["no-such-tool"], "level": "patch"}')
    (folder / "rule.sh").write_text("#!/bin/sh\nexit 0\n")
    (folder / "rule.sh").chmod(0o755)
    config = author.folder / "netci.toml"
    # No tree, no stream: of a project whose checks are asked here nothing else need be told.
    config.write_text(
        f'[projects.mine.checking]\nuse = ["rule"]\n[projects.mine.checking.check.rule]\nfolder = "{folder}"\n'
    )
    ran = author.check("--config", str(config), "-c", "rule")
    assert ran.returncode == 2
    assert "not installed: no-such-tool" in ran.stdout
    assert "1 could not be told" in ran.stdout
    assert ran.stderr == ""


def test_without_a_cage_what_runs_nothing_is_told_and_no_tree_is_made(author: Author) -> None:
    author.bad()
    program("unshare")
    none = 'for most in /proc/sys/user/max_*_namespaces; do echo 0 >"$most"; done; exec "$@"'
    words = author.command("-c", "shellcheck", "-c", "verify_fixes", "-c", "checkpatch", *SOME)
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", none, "sh", *words], cwd=author.clone, timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    states = {line.split()[1]: line.split()[0] for line in ran.stdout.splitlines() if "  patch 1  " in line}
    assert states == {
        "source_inline": "FAIL", "verify_signedoff": "FAIL", "verify_fixes": "ok", "shellcheck": "ok",
        "checkpatch": "????",
    }  # fmt: skip
    assert re.search("no cage can be made: .*; --bare runs tools", ran.stdout)
    assert not list((author.folder / "cache").rglob("seats/*"))


def test_tools_may_be_in_folders_that_are_named(author: Author) -> None:
    tools = author.folder / "tools"
    tools.mkdir()
    remark = [{"location": {"row": 1}, "code": "OWN", "message": "seen by a ruff of mine"}]
    (tools / "ruff").write_text(f"#!/bin/sh\necho '{json.dumps(remark)}'\nexit 1\n")
    (tools / "ruff").chmod(0o755)
    listed = json.loads(author.check("--list", "--json", "--path", "tools", cwd=author.folder).stdout)
    assert {one["check"]: one["missing"] for one in listed}["ruff"] == []
    commit(author.clone, "net: add a script", {"a.py": "import os\n"})
    ran = author.check("-c", "ruff", "--path", str(tools))
    assert ran.returncode == 1, ran.stdout
    assert "a.py:1: error: seen by a ruff of mine [OWN]" in ran.stdout
    wrong = author.check("--path", "no-such-folder")
    assert (wrong.returncode, wrong.stderr) == (2, "netci check: --path: no-such-folder is no folder\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_middle_it_leaves_no_process_and_the_next_run_is_whole(author: Author, number: int) -> None:
    author.good()
    folder = author.folder / "own"
    folder.mkdir()
    (folder / "info.json").write_text('{"run": ["./rule.sh"], "level": "patch"}')
    (folder / "rule.sh").write_text("#!/bin/sh\nsleep 876543\n")
    (folder / "rule.sh").chmod(0o755)
    config = author.folder / "netci.toml"
    config.write_text(
        '[projects.netdev.trees.net-next]\ngit = "https://git.example.org/x.git"\n'
        f'[projects.netdev.checking]\nuse = ["rule"]\n[projects.netdev.checking.check.rule]\nfolder = "{folder}"\n'
    )
    process = subprocess.Popen(
        author.command("--config", str(config), "-c", "rule"), cwd=author.clone,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        until(lambda: bool(sleepers()) or process.poll() is not None)
        process.send_signal(number)
        told, _ = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert told.splitlines()[-1] == "broken off, 0 of 1 answered"
    until(lambda: not sleepers())
    assert author.asked(*SOME) == {"source_inline/1": "success", "verify_signedoff/1": "success"}
    (work,) = (author.folder / "cache" / "check").iterdir()
    assert list((work / "scratch").iterdir()) == []


def sleepers() -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes() == b"sleep\x00876543\x00":
                found.append(process)
        except OSError:
            continue
    return found


def until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)


def test_an_ordinary_user_needs_no_rights(author: Author) -> None:
    """User 65534, whose files the clone and the cache then are."""
    if os.geteuid():
        return  # then all the others have shown it
    author.good()
    shown = Path("/var/tmp") / f"netci-check-{os.getpid()}"
    home, place = shown / "home", shown / "place"
    shutil.copytree(author.folder, home, symlinks=True)
    place.mkdir()
    try:
        for path in (home, *home.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        words = Author.command(author, "--tree", str(home / "linux"), *SOME)[1:]
        words[words.index("--cache") + 1] = str(home / "cache")
        command, env = as_nobody(place, home, words)
        ran = subprocess.run(command, env=env, timeout=240, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "2 success" in ran.stdout
    finally:
        shutil.rmtree(shown)
