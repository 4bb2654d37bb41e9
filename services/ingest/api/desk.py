"""What the endpoints for labs work with: one value, made when the room begins to take part."""

from dataclasses import dataclass, field

from services.ingest.api.budget import Budget
from services.ingest.api.callers import Callers, callers_of
from shared.floor import Floor
from shared.ledger import Ledger
from shared.settings import Labs
from shared.web.rates import Rates

BODIES = 2
"""How many bodies of full size one process holds at once; smaller ones accordingly more."""


@dataclass
class LabDesk:
    """The room's floor, its way into the ledger, and the budgets of tokens and of memory."""

    floor: Floor
    ledger: Ledger = field(default_factory=lambda: Ledger("ingest"))
    rates: Rates = field(init=False)
    bodies: Budget = field(init=False)
    callers: Callers = field(init=False)

    def __post_init__(self) -> None:
        self.rates = Rates(self.labs.rate, self.labs.burst)
        self.bodies = Budget(BODIES * self.labs.body)
        self.callers = callers_of(self.floor.settings)

    @property
    def labs(self) -> Labs:
        return self.floor.settings.labs
