"""How sure a rate is that was seen in a few runs: Wilson's interval. Pure."""

from dataclasses import dataclass
from math import sqrt

Z = 1.96
"""95 of 100 intervals hold the true rate."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`bad` of `runs`, and the bounds between which the true rate is likely to be, as shares of one."""

    bad: int
    runs: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.bad / self.runs if self.runs else 0.0

    def __str__(self) -> str:
        """``8 % (3 to 21)``; "" without runs."""
        if not self.runs:
            return ""
        return f"{percent(self.share)} % ({percent(self.low)} to {percent(self.high)})"


def percent(share: float) -> str:
    """A share in percent: whole, but for small ones, so that what is seen never reads as never."""
    value = 100 * share
    return f"{value:.1f}" if 0 < value < 2 else f"{value:.0f}"


def rate(bad: int, runs: int) -> Rate:
    """Wilson's score interval, which holds for few runs and for rates near none and all (Wilson 1927)."""
    if runs <= 0:
        return Rate(0, 0, 0.0, 1.0)
    p, n = bad / runs, runs
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    # At none and all the bound is exact; what floats leave over is not.
    return Rate(bad, runs, max(0.0, middle - half) if bad else 0.0, min(1.0, middle + half) if bad < runs else 1.0)
