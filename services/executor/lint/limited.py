"""What a check answers where a limit ended its tool: it read the patch, so that is not the machine's fault."""

from services.executor.cage.base import Ran
from services.executor.checks.base import Said, warning
from shared.errors import InfraError
from shared.model.results import Cause


class Limited(Exception):
    """A limit ended a tool before it had looked at everything. `said` is the answer."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.text)
        self.said = said


def ended(tool: str, ran: Ran) -> Ran:
    """`ran`, if `tool` ended by itself. Raises Limited if not; InfraError if somebody else ended it."""
    if ran.ended == "exit":
        return ran
    if ran.ended == "killed":
        raise InfraError(f"{tool} was killed")
    cause = Cause.TIMEOUT if ran.ended == "time" else Cause.PATCH
    raise Limited(warning(f"{tool} {ran.said}", cause=cause, log=ran.merged.decode("utf-8", "replace")))
