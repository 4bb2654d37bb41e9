"""The same as an ordinary user: what is ours and the interpreter may lie where such a user cannot go."""

import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534

# In a mount namespace of its own, an open folder is put in place of one that is closed to others, as /root is, with
# nothing in it but these.
_AS_NOBODY = """
set -e
as_nobody() { setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=-all -- "$@"; }
for name in repository python site; do
    eval "from=\\$$name"
    mkdir "$place/$name"
    mount --bind "$from" "$place/$name"
done
for name in repository python site; do
    eval "from=\\$$name"
    as_nobody test -x "$from" && continue
    top=/$(echo "$from" | cut -d/ -f2)
    as_nobody test -x "$top" || mount -t tmpfs -o mode=755 opened "$top"
    mkdir -p "$from"
    mount --bind "$place/$name" "$from"
done
cd "$repository"
as_nobody env -i PATH="$PATH" PYTHONDONTWRITEBYTECODE=1 HOME="$home" TMPDIR="$home" \\
    PYTHONPATH="$repository:$site" "$python/bin/$interpreter" "$@"
"""


def as_nobody(place: Path, home: Path, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Command and environment by which root runs Python with `words` as user `NOBODY`, in the repository's folder.

    `place` is an empty folder that everybody may enter, `home` one of that user.
    """
    env = {
        "repository": str(REPOSITORY), "python": sys.base_prefix, "site": sysconfig.get_path("purelib"),
        "interpreter": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "place": str(place), "home": str(home), "user": str(NOBODY), "PATH": os.environ["PATH"],
    }  # fmt: skip
    return ["unshare", "--mount", "--", "sh", "-c", _AS_NOBODY, "sh", *words], env
