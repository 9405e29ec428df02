"""Quantities as people write them in agent.toml, as types that options are declared with.

`every: Seconds = 60.0` makes the option take `"1m"`, `"90s"` or `60`; `Ratio` takes `"80%"` or `0.8`; `Size` takes
`"10 GiB"`.
"""

import re
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a number may be written: the name shown in errors, an example, the units with their factors."""

    name: str
    example: str
    units: tuple[tuple[str, float], ...]


DURATION = Quantity("a duration", '"90s", "5m", "4h" or "1d"',
                    (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)))
SIZE = Quantity("a size", '"500 MiB" or "10 GiB"',
                (("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30), ("TiB", 2**40),
                 ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1)))
RATIO = Quantity("a ratio", '"80%" or 0.8', (("%", 0.01),))

Seconds = Annotated[float, DURATION]
Size = Annotated[float, SIZE]
Ratio = Annotated[float, RATIO]

_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]+)")


def parse(quantity: Quantity, value: object) -> float:
    """Read `"1h30m"`, `"80%"` or a bare number in the base unit.

    Raises ValueError with a sentence that says what would be right.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < float("inf"):
            raise ValueError(f"must not be negative: write {quantity.name} such as {quantity.example}")
        if quantity is RATIO and value > 1:
            raise ValueError(f'is a ratio from 0 to 1: write "{value:g}%" for {value:g} percent')
        return float(value)
    if isinstance(value, str):
        factors = dict(quantity.units)
        total, end = 0.0, 0
        for match in _WRITTEN.finditer(value):
            if match.start() != end or match[2] not in factors:
                break
            total, end = total + float(match[1]) * factors[match[2]], match.end()
        if end and not value[end:].strip():
            return total
    raise ValueError(f"is not {quantity.name}: write {quantity.example}")
