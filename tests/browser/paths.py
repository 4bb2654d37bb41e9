"""The pages that are looked at in a browser: those of the seeded day, and those of the seeded weeks."""

from urllib.parse import quote

from tests.services.report.web.builders import BRANCH
from tests.services.report.web.history.conftest import CRASH, Weeks

PATHS = (
    "/", "/contest?ld-cases=1", "/branches", f"/branch/{BRANCH}", "/series", "/series/1", "/series/2", "/run/1",
    "/run/2", "/run/1/log/selftests-net%2Ftls%2F0%2Fstdout", "/remotes", "/remotes/metal", "/remotes/lab-x",
    "/events", "/about", "/follow", "/mine", "/webhooks", "/devices", "/devices/metal/vmksft-net", "/checks",
    f"/branch_deltas/{BRANCH}.html",
    "/flakes", "/matrix", "/crashes", "/known", "/login", f"/compare?after={BRANCH}",
)  # fmt: skip

WEEKS = (
    "/flakes", "/matrix?br-cnt=40&min-flip=0", "/test?group=selftests-net&test=gro.sh", "/crashes",
    f"/crash?title={quote(CRASH)}", "/mine?who=jane@example.org&since=2026-01-01T00:00:00Z", "/series/{jane}",
)  # fmt: skip


def filled(path: str, weeks: Weeks) -> str:
    return path.format(jane=weeks.jane)
