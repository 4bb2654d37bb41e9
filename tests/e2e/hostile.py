"""The series that strangers send in these tests, and what the page must say of each."""

from tests.e2e.letters import GOOD_FILE, Hostile, adds, changes

CANARY = "netci-canary-7f3d2c"
"""Every hostile path ends in this name, so that a file of that name anywhere is a file that got away."""

_LINK = (
    "diff --git a/net/way-out b/net/way-out\nnew file mode 120000\nindex 0000000..e69de29\n--- /dev/null\n"
    "+++ b/net/way-out\n@@ -0,0 +1 @@\n+/var/tmp\n\\ No newline at end of file\n-- \n2.43.0\n"
)
_BINARY = (
    "diff --git a/net/eve.bin b/net/eve.bin\nnew file mode 100644\nindex 0000000..1111111\n"
    "GIT binary patch\nliteral 4\nLcmZQzWMT#Y01f~L\n\nliteral 0\nHcmV?d00001\n\n-- \n2.43.0\n"
)
_ED = f"--- a/{GOOD_FILE}\n+++ b/{GOOD_FILE}\n@@ -1 +1 @@\n-x\n+y\n1,2c\n!touch /var/tmp/{CANARY}\n.\nw\n-- \n2.43.0\n"

PATHS = (
    Hostile("absolute", (adds(f"/var/tmp/{CANARY}", old="", new=""),), "absolute path"),
    Hostile("absolute-below-b", (adds(f"/var/tmp/{CANARY}"),), "invalid path|absolute path"),
    Hostile("dots", (adds(f"../../../{CANARY}"),), "leaves its folder"),
    Hostile("dots-inside", (adds(f"net/core/../../../{CANARY}"),), "leaves its folder"),
    Hostile("git-hook", (adds(".git/hooks/post-checkout", mode="100755"),), "git's own files"),
    Hostile("git-hook-below", (adds(f"net/.git/hooks/{CANARY}", mode="100755"),), "git's own files"),
    Hostile("git-on-mac", (adds(f".g\u200cit/{CANARY}"),), "git's own files|cannot be shown"),
    Hostile("git-on-ntfs", (adds(f"git~1/{CANARY}"),), "git's own files"),
    Hostile("gitmodules", (adds(".gitmodules", '[submodule "x"]'),), "git's own files"),
    Hostile("quoted", (adds(f'net/\\056\\056/{CANARY}"', old='"a/', new='"b/'),), "quoted path|leaves its folder"),
    Hostile("backslash", (adds(f"net\\..\\{CANARY}"),), "backslash|headers disagree"),
    Hostile(
        "endless-name",
        (adds(f"net/{CANARY}" + "x" * 4100),),
        "longer (than file systems take|or deeper than any can be)",
    ),
    Hostile("two-names", (changes().replace(f"+++ b/{GOOD_FILE}", f"+++ b/net/{CANARY}"),), "disagree"),
)

MODES = (
    Hostile("symlink", (_LINK,), "symbolic link"),
    Hostile("through-symlink", (_LINK, adds(f"net/way-out/{CANARY}")), "symbolic link"),
    Hostile(
        "through-ours",
        (adds(f"tools/outside/{CANARY}"),),
        "outside: .*symbolic link|beyond a symbolic link|does not apply",
    ),
    Hostile("submodule", (adds("net/module", "Subproject commit " + "1" * 40, mode="160000"),), "submodule"),
    Hostile("setuid", (adds(f"net/{CANARY}", mode="104755"),), "file mode"),
)

SHAPES = (
    Hostile("nul", (changes("\treturn @NUL@;"),), "NUL|does not apply|no diff", raw={b"@NUL@": b"\0"}),
    Hostile("ten-mebibytes", (changes("x" * (10 << 20)),), "line of|bytes"),
    Hostile("counts-too-high", (changes(hunk="@@ -2,5 +2,900 @@"),), "hunk"),
    Hostile("counts-beyond-all", (changes(hunk="@@ -2,99999999999999999999 +2,5 @@"),), "changes nothing|hunk|no diff"),
    Hostile("counts-too-low", (changes(hunk="@@ -2,2 +2,2 @@"),), "hunk|does not apply"),
    Hostile("carriage-in-a-name", (adds(f"net/{CANARY}\r"),), "cannot be shown|disagree|two names"),
    Hostile("ed-script", (_ED,), "ed|hunk|does not apply"),
    Hostile("nothing-there", (changes(path=f"net/{CANARY}.c"),), "does not apply"),
    Hostile(
        "two-mails-in-one",
        (changes("\treturn 14;"),),
        "1 patches are listed and 2 are in the mbox",
        body=f"\nFrom eve@eve.example Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\n{adds('net/more.c')}",
    ),
    Hostile("many-patches", tuple(changes(f"\treturn {n};") for n in range(600)), "more than 500"),
)

TAKEN = (
    Hostile("claims-a-patch", (changes("\treturn 12;"),), "", headers=("X-Patchwork-Id: 1", "X-Patchwork-Delegate: x")),
    Hostile("markup", (changes("\treturn 13;"),), "", subject="<script>alert('netci')</script><img src=x onerror=y>"),
    Hostile("crlf", (changes("\treturn 14;", end="\r\n"),), ""),
    Hostile("half-a-binary", (_BINARY,), ""),
)  # fmt: skip

SERIES = (*PATHS, *MODES, *SHAPES, *TAKEN)
