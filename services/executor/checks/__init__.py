"""The rack of checks: what exists, by the context it speaks in. docs/how-to/add-a-check.md"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.executor.checks.base import Check, OurCheck
from services.executor.checks.build import Build32bit, BuildAllmodconfigWarn, BuildClang, BuildClangRust
from services.executor.checks.build_tools import BuildTools
from services.executor.checks.cc_maintainers import CcMaintainers
from services.executor.checks.check_selftest import CheckSelftest
from services.executor.checks.checkpatch import Checkpatch
from services.executor.checks.deprecated_api import DeprecatedApi
from services.executor.checks.dt_binding_check import DtBindingCheck
from services.executor.checks.dtbs_check import DtbsCheck
from services.executor.checks.fixes_present import FixesPresent
from services.executor.checks.header_inline import HeaderInline
from services.executor.checks.kdoc import Kdoc
from services.executor.checks.maintainers import Maintainers
from services.executor.checks.pylint import Pylint
from services.executor.checks.ruff import Ruff
from services.executor.checks.series_format import SeriesFormat
from services.executor.checks.shellcheck import Shellcheck
from services.executor.checks.signed import Signed
from services.executor.checks.source_inline import SourceInline
from services.executor.checks.verify_fixes import VerifyFixes
from services.executor.checks.verify_signedoff import VerifySignedoff
from services.executor.checks.yamllint import Yamllint
from services.executor.checks.ynl import Ynl
from shared.errors import Refused

ALL: tuple[type[OurCheck], ...] = (
    SeriesFormat,
    FixesPresent,
    VerifySignedoff,
    VerifyFixes,
    CcMaintainers,
    Maintainers,
    Checkpatch,
    Kdoc,
    Signed,
    SourceInline,
    HeaderInline,
    DeprecatedApi,
    CheckSelftest,
    Shellcheck,
    Yamllint,
    Ruff,
    Pylint,
    Ynl,
    DtBindingCheck,
    DtbsCheck,
    BuildAllmodconfigWarn,
    BuildClang,
    Build32bit,
    BuildClangRust,
    BuildTools,
)

CHECKS: dict[str, type[OurCheck]] = {check.name: check for check in ALL}


def check_for(name: str, options: Mapping[str, Any], where: str) -> Check:
    """The check of that name, configured. Raises Refused, naming the key."""
    if (kind := CHECKS.get(name)) is None:
        raise Refused(f"{where}: there is no check {name!r}; there are: {', '.join(CHECKS)}")
    try:
        return kind(kind.Config.model_validate(dict(options)))
    except ValidationError as exc:
        lines = [f"{where}.{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in exc.errors()]
        raise Refused("\n".join(lines)) from None
