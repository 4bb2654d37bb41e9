"""What the endpoints for labs work with: one value, made when the room begins to take part."""

from dataclasses import dataclass, field

from services.ingest.api.callers import Callers, callers_of
from shared.floor import Floor
from shared.ledger import Ledger
from shared.web.rates import Rates


@dataclass
class LabDesk:
    """The room's floor, its way into the ledger, and the budgets of tokens."""

    floor: Floor
    ledger: Ledger = field(default_factory=lambda: Ledger("ingest"))
    rates: Rates = field(init=False)
    callers: Callers = field(init=False)

    def __post_init__(self) -> None:
        labs = self.floor.settings.labs
        self.rates = Rates(labs.rate, labs.burst)
        self.callers = callers_of(self.floor.settings)
