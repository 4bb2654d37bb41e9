"""The ledger of runs, cases and artifacts: the one way in, for our executors and for outside labs alike."""

from shared.ledger.write import Ending, Ledger, Opening, OpenRun

__all__ = ["Ending", "Ledger", "OpenRun", "Opening"]
