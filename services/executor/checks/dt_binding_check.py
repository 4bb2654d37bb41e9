"""make dt_binding_check: device tree bindings that a patch touches agree with their schemas."""

import re
from datetime import timedelta
from typing import ClassVar

from services.executor.checks.base import CheckConfig, Desk, Needs, OurCheck, Said, Subject, fail, success
from services.executor.lint.devicetree import TOOLS, Stopped, issues
from shared.model.mails import ChangeKind
from shared.model.results import Cause

_BINDINGS = "Documentation/devicetree/bindings/"
_MAKE = 'make -s -j"$(nproc)" O=/tmp/out DT_CHECKER_FLAGS=-m dt_binding_check'
_MAKE_SOME = (
    'for one; do make -s -j"$(nproc)" O=/tmp/out DT_CHECKER_FLAGS=-m DT_SCHEMA_FILES="$one" dt_binding_check; done'
)
# The Makefile hands such a name to a shell.
_PLAIN = re.compile(r"[\w./,+@-]+")


class DtBindingCheckConfig(CheckConfig):
    """`whole`: look at every binding, which takes long and finds what a change does to others; else only at those
    that are touched, one after another, unless something besides schemas is touched.
    """

    whole: bool = True


class DtBindingCheck(OurCheck):
    name: ClassVar[str] = "dt_binding_check"
    help: ClassVar[str] = "no new issues of make dt_binding_check"
    uses: ClassVar[tuple[str, ...]] = ("make", "git", *TOOLS)
    needs: ClassVar[Needs] = Needs.BUILD
    limit: ClassVar[timedelta] = timedelta(hours=2)
    Config: ClassVar[type[CheckConfig]] = DtBindingCheckConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        assert isinstance(self.config, DtBindingCheckConfig)
        assert subject.patch is not None
        files = [
            one.path
            for one in subject.patch.files
            if one.kind is not ChangeKind.DELETE and one.path.startswith(_BINDINGS)
        ]
        if not files:
            return success("No DT binding files touched, skip")
        some = [path for path in files if path.endswith(".yaml") and _PLAIN.fullmatch(path)]
        whole = self.config.whole or len(some) != len(files)
        script, args = (_MAKE, ()) if whole else (_MAKE_SOME, tuple(some))
        try:
            found = await issues(subject, desk, script, *args)
        except Stopped as exc:
            cause = Cause.TIMEOUT if exc.ran.ended == "time" else Cause.PATCH
            return fail(
                f"make dt_binding_check {exc.ran.said}", log=exc.ran.merged.decode(errors="replace"), cause=cause
            )
        say = fail if found.differs.new else success
        counts = {"before": found.before, "after": found.after}
        each = [f" DT_SCHEMA_FILES={path}" for path in args] or [""]
        repeat = "\n".join(f"make DT_CHECKER_FLAGS=-m{one} dt_binding_check" for one in each)
        return say(found.text, findings=found.findings, log=found.log, counts=counts, repeat=repeat)
