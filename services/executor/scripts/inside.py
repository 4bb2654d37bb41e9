"""Runs in the cage: calls a check that is a Python function, as NIPA calls it. The standard library alone.

``/in/asked.json`` says what to call and what it is asked about. The description goes to the descriptor DESC_FD, what
the function gives besides to standard output; the exit code is the answer, 125 if there is none.

What it is given has the shape of NIPA's objects, of which this is there: `tree` with name, pfx, path, remote, branch,
`git`, `git_merge_base`, `git_find_patch`, `git_status` and `contains`; a patch with id, title, subject, raw_patch and
`write_out`; a series with id, title, subject, patches, cover_letter, cover_pull, pull_url, tree_name, tree_marked,
tree_mark_expected and `is_pure_pull`.
"""

import importlib
import json
import os
import subprocess
import sys
import traceback
import types
from typing import Any, BinaryIO

NO_ANSWER = 125
_KNOWN = (0, 111, 250)


class Tree:
    def __init__(self, name: str, branch: str, path: str) -> None:
        self.name = self.pfx = name
        self.path, self.branch, self.remote = path, branch, None

    def git(self, args: list[str]) -> str:
        ran = subprocess.run(["git", *args], cwd=self.path, capture_output=True, check=True)
        return ran.stdout.decode("utf-8", "replace")

    def git_status(self, untracked: str | None = None, short: bool = False) -> str:
        return self.git(["status", *(["-s"] if short else []), *([f"-u{untracked}"] if untracked else [])])

    def git_merge_base(self, c1: str, c2: str, is_ancestor: bool = False) -> str:
        return self.git(["merge-base", c1, c2, *(["--is-ancestor"] if is_ancestor else [])])

    def git_find_patch(self, needle: str, depth: int = 1000) -> str:
        some = f"HEAD~{depth}..HEAD"
        return self.git(["log", "--pretty=format:'%h'", some, f"--grep={needle}", "--fixed-strings"])

    def contains(self, commit: str) -> bool:
        try:
            self.git_merge_base(commit, "HEAD", is_ancestor=True)
        except subprocess.CalledProcessError:
            return False
        return True


class Patch:
    def __init__(self, facts: dict[str, Any]) -> None:
        self.id = facts["id"]
        self.title, self.subject, self.raw_patch = facts["title"], facts["subject"], facts["raw"]

    def write_out(self, fp: BinaryIO) -> None:
        fp.write(self.raw_patch.encode("utf-8"))
        fp.flush()


class Series:
    def __init__(self, facts: dict[str, Any]) -> None:
        self.id = facts["id"]
        self.title, self.subject = facts["title"], facts["subject"]
        self.patches = [Patch(one) for one in facts["patches"]]
        self.cover_letter, self.cover_pull, self.pull_url = facts["cover"], facts["cover_pull"], facts["pull"]
        self.tree_name, self.tree_marked = facts["tree"], facts["marked"]
        self.tree_mark_expected = facts["mark_expected"]

    def is_pure_pull(self) -> bool:
        return bool(self.pull_url)


def answer(asked: dict[str, Any]) -> tuple[int, str, str]:
    """What the function returns: a code, a description, and perhaps what it has to say besides."""
    _packages(asked["root"])
    function = getattr(importlib.import_module(asked["module"]), asked["function"])
    tree = Tree(asked["series"]["tree"], asked["branch"], asked["path"])
    thing = Patch(asked["patch"]) if asked["patch"] else Series(asked["series"])
    code, text, *more = function(tree, thing, asked["results"])
    return int(code), str(text or ""), str(more[0] or "") if more else ""


def _packages(root: str) -> None:
    """``tests`` is the folder of checks, whatever else may bear that name; NIPA's ``core`` lies beside it."""
    sys.path.insert(0, root)
    tests = types.ModuleType("tests")
    tests.__path__ = [os.path.join(root, "tests")]
    sys.modules["tests"] = tests


def main() -> int:
    with open("/in/asked.json", encoding="utf-8") as file:
        asked = json.load(file)
    try:
        code, text, out = answer(asked)
    except Exception:
        traceback.print_exc()
        return NO_ANSWER
    with os.fdopen(int(os.environ["DESC_FD"]), "w", encoding="utf-8", errors="replace") as described:
        described.write(text)
    sys.stdout.write(out + "\n" if out else "")
    return code if code in _KNOWN else 1


if __name__ == "__main__":
    sys.exit(main())
