"""What a page calls a machine. Pure; words about machines are cleaned by `hide_addresses` of `shared.formats`."""

from shared.formats.hide import hide_addresses


def host_label(label: str, number: int) -> str:
    """What a host is called: its name without the domain, or its number where the label is an address."""
    return f"host {number}" if hide_addresses(label) != label else label.partition(".")[0]


__all__ = ["hide_addresses", "host_label"]
