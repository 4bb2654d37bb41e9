"""The rack of suites: what exists, by the name an operator writes in ``suite = { kind = … }``."""

from typing import Annotated

from pydantic import Field

from services.executor.suites.base import Suite
from services.executor.suites.kselftest import Kselftest, KselftestConfig
from services.executor.suites.script import Script, ScriptConfig

SuiteConfig = Annotated[KselftestConfig | ScriptConfig, Field(discriminator="kind")]
"""The pydantic type of the ``suite`` key."""

SUITES: dict[str, type[Suite]] = {"kselftest": Kselftest, "script": Script}


def suite_for(config: KselftestConfig | ScriptConfig) -> Suite:
    """The suite an executor's configuration asks for."""
    return Kselftest(config) if isinstance(config, KselftestConfig) else Script(config)
