"""The ledger of runs, cases and artifacts: the one way in, for our executors and for outside labs alike."""

from shared.ledger.checks import Check
from shared.ledger.values import Ending, Opening, OpenRun
from shared.ledger.write import Ledger

__all__ = ["Check", "Ending", "Ledger", "OpenRun", "Opening"]
