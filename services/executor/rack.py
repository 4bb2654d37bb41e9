"""An executor as configured, ours or a lab's, made ready: its suite and driver from the racks."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.executor.crashes import rules
from services.executor.drivers.here import Here
from services.executor.drivers.rack import DriverConfig, driver_for
from services.executor.runs import Bench
from services.executor.suites import SuiteConfig, suite_for
from services.executor.trees import Trees
from shared.errors import Refused
from shared.settings import Executor


def fit(table: Executor, name: str, trees: Trees, here: Here) -> Bench:
    """Ready to run. Raises Refused, naming the key, if its suite or driver is misconfigured."""
    suite = _checked(TypeAdapter(SuiteConfig), table.suite, f"executors.{table.name}.suite")
    driver = _checked(TypeAdapter(DriverConfig), table.driver, f"executors.{table.name}.driver")
    ignore = rules(table.crash_ignore)
    return Bench(
        name, table.retries, driver_for(driver, here), suite_for(suite), trees, ignore=ignore, table=table.suite
    )


def _checked(adapter: TypeAdapter[Any], value: object, where: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as exc:
        lines = [f"{where}.{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in exc.errors()]
        raise Refused("\n".join(lines)) from None
