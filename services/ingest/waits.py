"""How long to wait after a failure. Pure."""


def wait_after(every: float, failures: int, asked: float | None = None) -> float:
    """Seconds to the next round after `failures` rounds failed in a row, `every` apart when all is well.

    Gentle to a server in trouble, and at most a minute late when it is back. `asked` is what it asked for itself.
    """
    return max(min(every, 60.0), min(30.0, 2.0 ** (failures - 1)), asked or 0.0)


def asked_wait(hints: dict[str, object]) -> float | None:
    """The wait that a server asked for, from the hints of the exception that carries its answer."""
    asked = hints.get("retry_after")
    return asked if isinstance(asked, float) else None
