"""Whether a diff may reach git: the list of `shared.formats.diff`, as one sentence."""

from shared.formats.diff import faults


def validate(diff: bytes) -> str | None:
    """Why `diff` must not be applied, or None."""
    found = faults(diff)
    if not found:
        return None
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"line {first.line}: {first.text}{more}"
