"""What one look at a queue found, and what two looks tell: is anybody at work, and since when is nobody?"""

from dataclasses import dataclass
from typing import Any, Final

# A worker that sleeps between two jobs may be seen idle at one look (queue:work sleeps 3 s; looks are a minute apart).
_PAUSE: Final = 150.0  # seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """One queue at one look. `least`: a limit cut the count short, there are at least so many."""

    ready: int
    delayed: int
    reserved: int
    stuck: int  # of the reserved: for longer than retry_after
    overdue: int = 0  # of the delayed: their time has come, and no worker has moved them
    oldest: float | None = None  # unix seconds since when the first one in the row waits; None: cannot be known
    head: str = ""  # who is first in the row; "": nobody waits
    stays: bool = False  # whether the first in the row of the look before is still waiting there
    least: bool = False

    @property
    def working(self) -> bool:
        """Somebody holds a job, and not for too long."""
        return self.reserved > self.stuck


@dataclass(frozen=True, slots=True)
class Progress:
    """Seconds, or None where it cannot be known yet."""

    oldest: float | None  # how long the first in the row waits, at least
    unattended: float | None  # how long jobs have waited without one of them being taken
    behind: float | None  # how long the first in the row waits although somebody is at work


def first_in_row(memory: dict[str, Any]) -> str:
    """Who was first in the row at the look before."""
    return str(memory.get("head", ""))


def progress(memory: dict[str, Any], seen: Seen, now: float) -> Progress:
    """Compare with the look before, which `memory` holds, and remember this one in its place.

    A job that is taken and one that vanishes are both work: whoever emptied the queue by hand knows.
    """
    before = dict(memory)
    waits = bool(seen.head)
    worked = seen.working or bool(before.get("head") and not seen.stays)
    met = before.get("met", now) if seen.stays else now  # since when we know this one as the first
    began = before.get("began")  # since when somebody is at work on this row
    moved = now if worked else before.get("moved")
    if worked:
        began = now if began is None else began
    elif moved is None or now - moved > _PAUSE:
        began = None
    memory.clear()
    if not waits:  # nothing to remember: an idle queue is not written down each minute
        memory["head"] = ""
        return Progress(0.0, 0.0, 0.0)
    memory.update({"head": seen.head, "met": met, "began": began, "moved": moved})
    since = seen.oldest if seen.oldest is not None else met
    oldest = max(0.0, now - since)
    if worked or began is not None:
        known = seen.oldest is not None
        return Progress(oldest, 0.0, max(0.0, now - max(since, began or now)) if known else None)
    if not before and seen.oldest is None:
        return Progress(oldest, None, None)
    return Progress(oldest, max(0.0, now - max(since, moved or since)), 0.0)


def interrupted(memory: dict[str, Any], now: float) -> None:
    """The queue could not be read, and so nobody could work: waiting is counted from then on."""
    if memory.get("head"):
        memory.update({"began": None, "moved": now})
