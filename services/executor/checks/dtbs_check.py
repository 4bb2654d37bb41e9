"""make dtbs_check: device trees of the machines that a patch touches agree with the bindings."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from services.executor.checks.base import CheckConfig, Desk, Needs, OurCheck, Said, Subject, fail, success
from services.executor.lint.devicetree import TOOLS, Issues, Stopped, issues
from shared.model.mails import ChangeKind
from shared.model.results import Cause

_BINDINGS = "Documentation/devicetree/bindings/"

# Device trees need no compiler for their machine, but Kconfig asks for one. The host's will do if it is not shown
# the options that it does not know: those are dropped, here as a program that stands in for each compiler.
_STAND_IN = r"""#!/bin/sh
count=$#
while [ "$count" -gt 0 ]; do
    option=$1; shift; count=$((count - 1))
    case "$option" in
    -G) shift; count=$((count - 1)) ;;
    -EB|-EL|-G*|-mabi=*|-march=*|-mbig-endian|-mcmodel=*|-mcpu=*|-mdiv|-mfp*|-mhard-float|-mlittle-endian) ;;
    -mlock|-mmedium-calls|-mno-abicalls|-mno-sdata|-mno-stack-size|-msoft-float|-mswape|-mtune=*|-munaligned-access) ;;
    *) set -- "$@" "$option" ;;
    esac
done
exec /usr/bin/gcc "$@"
"""
_MAKE = r"""
mkdir -p /tmp/stand-in && cd /tmp/stand-in || exit 99
cp /in/gcc gcc && chmod 755 gcc && ln -sf gcc xtensa_fsf-gcc && ln -sf /usr/bin/ld xtensa_fsf-ld
cd /src || exit 99
PATH=/tmp/stand-in:$PATH
jobs=-j$(nproc)
make -s ARCH="$1" O=/tmp/out $jobs "$2" >/tmp/configured 2>&1 || {
    cat /tmp/configured
    echo "error: no configuration for $1"
    exit 1
}
make -s ARCH="$1" O=/tmp/out $jobs DT_CHECKER_FLAGS=-m dtbs_check
"""


class DtbsCheckConfig(CheckConfig):
    """`archs` are asked about where they have device trees; all of them when a schema is touched, if `schemas`.
    `configuration` is the make target that configures; `skip` are architectures that are left out.
    """

    archs: tuple[str, ...] = ("arm", "arm64", "riscv")
    skip: tuple[str, ...] = ()
    schemas: bool = True
    configuration: str = "allmodconfig"


class DtbsCheck(OurCheck):
    name: ClassVar[str] = "dtbs_check"
    help: ClassVar[str] = "no new issues of make dtbs_check"
    uses: ClassVar[tuple[str, ...]] = ("make", "git", *TOOLS)
    needs: ClassVar[Needs] = Needs.BUILD
    limit: ClassVar[timedelta] = timedelta(hours=6)
    Config: ClassVar[type[CheckConfig]] = DtbsCheckConfig

    async def ask(self, subject: Subject, desk: Desk) -> Said:
        archs, why = self._archs(subject)
        if not archs:
            return success("No DT schema or DTS files touched, skip")
        texts, found = [why], []
        for arch in archs:
            desk.describe("; ".join(texts))
            try:
                one = await issues(
                    subject, desk, _MAKE, arch, self._options.configuration, files={"gcc": _STAND_IN.encode()}
                )
            except Stopped as exc:
                cause = Cause.TIMEOUT if exc.ran.ended == "time" else Cause.PATCH
                return fail(
                    f"[{arch}] make dtbs_check {exc.ran.said}", log=exc.ran.merged.decode(errors="replace"), cause=cause
                )
            found.append(one)
            texts.append(f"[{arch}] {one.text}")
        return _told("; ".join(texts), archs, found)

    @property
    def _options(self) -> DtbsCheckConfig:
        assert isinstance(self.config, DtbsCheckConfig)
        return self.config

    def _archs(self, subject: Subject) -> tuple[list[str], str]:
        """Which are asked about, and the words for it."""
        assert subject.patch is not None
        paths = [one.path for one in subject.patch.files if one.kind is not ChangeKind.DELETE]
        ours = [arch for arch in self._options.archs if arch not in self._options.skip]
        if self._options.schemas and any(path.startswith(_BINDINGS) for path in paths):
            return ours, "DT schema files modified, testing all architectures"
        touched = [arch for arch in ours if any(path.startswith(f"arch/{arch}/boot/dts/") for path in paths)]
        return touched, f"DTS files touched for architectures: {' '.join(touched)}"


def _told(text: str, archs: Sequence[str], found: Sequence[Issues]) -> Said:
    say = fail if any(one.differs.new for one in found) else success
    findings = sorted((finding for one in found for finding in one.findings), key=lambda one: not one.new)
    log = "".join(f"==== {arch}\n{one.log}" for arch, one in zip(archs, found, strict=True))
    counts = {"before": sum(one.before for one in found), "after": sum(one.after for one in found)}
    repeat = "\n".join(f"make ARCH={arch} DT_CHECKER_FLAGS=-m dtbs_check" for arch in archs)
    return say(text, findings=tuple(findings), log=log, counts=counts, repeat=repeat)
