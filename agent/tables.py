"""Tables for people on standard output: drawn by rich on a terminal, plain aligned columns for a pipe."""

import sys
from collections.abc import Mapping, Sequence

from alerts.text import line


def show(columns: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> None:
    """Print the rows' cells under the heads of `columns`; cells are taken as text, whatever they hold."""
    cells = [[line(row[key]) for key in columns] for row in rows]
    if sys.stdout.isatty():
        _drawn(list(columns.values()), cells)
        return
    widths = [max(map(len, column)) for column in zip(columns.values(), *cells, strict=True)]
    for each in ([*columns.values()], *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)).rstrip())


def _drawn(heads: list[str], cells: list[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=SIMPLE_HEAD, pad_edge=False)
    for each in cells:
        table.add_row(*(Text(cell) for cell in each))  # Text, so that nothing in a cell is read as markup
    Console().print(table)
