"""A practice Patchwork: a real server on loopback that behaves as the recorded one, and misbehaves on demand.

`served()` runs one inside a test, `python -m shared.practice.patchwork` runs one as a process. `Patchwork` is its
memory, to be fed and asked directly. It is no Patchwork: no pages for people, no bundles, no accounts beyond a token.
"""

from shared.practice.patchwork.counters import Counters
from shared.practice.patchwork.misbehave import Misbehaviour
from shared.practice.patchwork.server import Served, served, standard
from shared.practice.patchwork.state import Patchwork

__all__ = ["Counters", "Misbehaviour", "Patchwork", "Served", "served", "standard"]
