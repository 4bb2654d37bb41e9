"""The rack of suites: what exists, by the name an operator writes in ``suite = { kind = … }``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from services.executor.suites.base import Suite, Table
from services.executor.suites.bpf import Bpf, BpfConfig
from services.executor.suites.kselftest import Kselftest, KselftestConfig
from services.executor.suites.kunit import Kunit, KunitConfig
from services.executor.suites.manifest import Expecting, read
from services.executor.suites.packetdrill import Packetdrill, PacketdrillConfig
from services.executor.suites.perf import Perf, PerfConfig
from services.executor.suites.script import Script, ScriptConfig
from shared.errors import Refused

SuiteConfig = Annotated[
    BpfConfig | KselftestConfig | KunitConfig | PacketdrillConfig | PerfConfig | ScriptConfig,
    Field(discriminator="kind"),
]
"""The pydantic type of the ``suite`` key."""

SUITES: Mapping[str, Callable[[Any], Suite]] = {
    "bpf": Bpf, "kselftest": Kselftest, "kunit": Kunit, "packetdrill": Packetdrill, "perf": Perf, "script": Script,
}  # fmt: skip

_LARGEST = 4 << 20


def suite_for(config: SuiteConfig) -> Suite:
    """The suite an executor's configuration asks for. Raises Refused if its manifest cannot be read."""
    suite = SUITES[config.kind](config)
    expected = read((*config.expects, *_lines(config)))
    return Expecting(suite, expected) if expected else suite


def _lines(config: Table) -> list[str]:
    if config.expects_file is None:
        return []
    try:
        return _text(config.expects_file).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise Refused(f"expects_file = {str(config.expects_file)!r}: {exc}") from None


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_LARGEST)
