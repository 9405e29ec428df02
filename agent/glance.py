"""What `jaga check` shows on a terminal: a row for each thing that was measured, its readings side by side."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from alerts.figures import unit
from alerts.text import line
from collectors.base import Labels, Reading

NOT_JUDGED = 0  # the higher, the more it concerns somebody
NEEDS_HISTORY, GOOD, WARNING, CRITICAL = 1, 2, 3, 4
_MARKS = {NOT_JUDGED: ("", ""), NEEDS_HISTORY: ("", ""), GOOD: ("✓", "green"), WARNING: ("✗", "bold yellow"),
          CRITICAL: ("✗", "bold red")}
_BETWEEN = " · "
_LEAST = 20  # columns for the readings, however narrow the terminal
_MOST = 32  # columns for the thing's name: a server's version must not push all readings aside


class Cell(NamedTuple):
    """One reading as it is shown."""

    text: str
    verdict: int


class Row(NamedTuple):
    """One thing, or one metric of many things; `cells` are its readings."""

    thing: str
    cells: tuple[Cell, ...]

    @property
    def verdict(self) -> int:
        return max(cell.verdict for cell in self.cells)


def rows(readings: Iterable[Reading], value: Callable[[Reading], str], verdict: Callable[[Reading], int]) -> list[Row]:
    """Readings with the same first word and the same labels are one thing: "disk /" has used, free, size.

    Where there are more things than metrics of them (tables, queries), it is the other way round: a row for a metric.
    """
    families: dict[tuple[str, tuple[str, ...]], list[Reading]] = {}
    for reading in readings:
        families.setdefault((_words(reading)[0], tuple(name for name, _ in reading.labels)), []).append(reading)
    found = []
    for (word, names), family in families.items():
        things = list(dict.fromkeys(reading.labels for reading in family))
        metrics = list(dict.fromkeys(reading.metric for reading in family))
        # what is common to many comes first: "sessions_online users"
        order = sorted(names, key=lambda name: len({dict(thing)[name] for thing in things}))
        if len(things) <= len(metrics):
            for thing in things:
                found.append(Row(_joined(word, thing, order), tuple(
                    Cell(f"{_words(each)[1]} {value(each)}".strip(), verdict(each))
                    for each in family if each.labels == thing)))
            continue
        common = set.intersection(*map(set, things))
        apart = [name for name in order if name not in dict(common)]
        for metric in metrics:
            found.append(Row(_joined(metric.removeprefix("jaga_"), tuple(common), order), tuple(
                Cell(_joined("", (*each.labels, ("", value(each))), [*apart, ""]), verdict(each))
                for each in family if each.metric == metric)))
    return found


def draw(heads: Sequence[str], groups: Sequence[tuple[str, Sequence[Row]]]) -> None:
    """Print the rows of each group (its name, its rows) as wide as the terminal is."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    lines = [(name if not number else "", line(row.thing), row)
             for name, rows in groups for number, row in enumerate(rows)]
    columns = zip(*((name, thing[:_MOST], "x") for name, thing, _ in lines), strict=True)
    # each with its padding and a divider; the table's two edges are columns as well
    taken = sum(max(map(len, [head, *column])) + 3 for head, column in zip(heads, columns, strict=False)) + 2
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(head, max_width=_MOST if number == 1 else None, overflow="fold")
    for name, thing, row in lines:
        mark, style = _MARKS[row.verdict]
        table.add_row(Text(name, "bold"), Text(thing), Text(mark, style),
                      Text.assemble(*_filled(row.cells, max(console.width - taken, _LEAST))))
    console.print(table)


def _filled(cells: Sequence[Cell], width: int) -> list[tuple[str, str]]:
    """The readings with their styles, in lines of at most that many columns that end only between two readings."""
    parts: list[tuple[str, str]] = []
    used = 0
    for cell in cells:
        shown = line(cell.text)
        between = _BETWEEN if used else ""
        if used and used + len(between) + len(shown) > width:
            between, used = "\n", -1
        parts += [(between, "dim"), (shown, _MARKS[cell.verdict][1] if cell.verdict >= WARNING else "")]
        used += len(between) + len(shown)
    return parts


def _words(reading: Reading) -> tuple[str, str]:
    """The metric's first word and the rest, without our prefix and without the unit, which the value shows."""
    name = reading.metric.removeprefix("jaga_").removesuffix("_total")
    word, _, rest = name.removesuffix(unit(reading.metric)).partition("_")
    return word, rest


def _joined(name: str, labels: Labels, order: Sequence[str]) -> str:
    known = dict(labels)
    return " ".join(part for part in (name, *(known.get(each, "") for each in order)) if part)
