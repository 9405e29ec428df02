"""Names in a line of evidence: the first of them, and how many more there are."""

from collections.abc import Sequence


def few(names: Sequence[str], most: int) -> str:
    """`nginx, mysql +3`: at most so many of them by name."""
    return ", ".join(names[:most]) + (f" +{len(names) - most}" if len(names) > most else "")
