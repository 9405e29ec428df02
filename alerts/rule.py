"""A rule: which readings are a problem, how bad, for how long, when it is over, and what to say and do.

Shipped rules are data beside the engine: `alerts/rules/<collector>.toml`, one table per rule.
"""

from typing import Literal

import msgspec

from collectors.quantities import Seconds

Severity = Literal["warning", "critical"]
RANK: dict[str, int] = {"": 0, "warning": 1, "critical": 2}

Kind = Literal["above", "below", "increase", "forecast", "absent"]


class Words(msgspec.Struct, frozen=True):
    """One text in both languages. Placeholders: the metric's labels, `{value}`, `{threshold}`, `{agent}`, `{site}`."""

    id: str
    en: str


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Another problem that explains this one: while it is open, or was a moment ago, nobody is told of this one too."""

    rule: str  # pattern (fnmatch) of the other's rule
    where: dict[str, tuple[str, ...]] = {}  # as a rule's `where`, on the other's labels
    same: tuple[str, ...] = ()  # labels that both must share
    of: dict[str, tuple[str, ...]] = {}  # as `where`, on this one's labels: only these are explained
    lingers: Seconds = 0.0  # after it ended, for so long, it still explains what had begun before


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in force. Thresholds are in the metric's base unit; times in seconds.

    kind: `above`/`below` compare the value; `increase` its growth over `window` (counter resets are seen);
    `forecast` the seconds until a fitted line over `window` reaches `limit`; `absent` the seconds without a reading.
    """

    name: str
    metric: str
    kind: Kind = "above"
    warning: float | None = None
    critical: float | None = None
    # label -> patterns (fnmatch), any of which must fit; "!pattern" excludes
    where: dict[str, tuple[str, ...]] = {}
    hold: float = 0.0  # written `for`: bad this long before it is a problem
    hysteresis: float = 0.0  # over only when better than the threshold by this much
    window: float = 0.0
    limit: float | None = None
    boot_grace: float = 0.0  # not judged bad until the machine has been up this long
    tell_after: float = 0.0  # open at once, so that it explains others, but a warning is told only when bad this long
    summary: Words
    first: Words  # the first step for a technician
    lay: Words  # the first step for somebody without a terminal
    fix: Words  # the whole mend, commands included
    explained_by: tuple[Cause, ...] = ()
    sop: str = ""  # the row of the cooperative's SOP, such as "1.2 disk"
    enabled: bool = True
    collector: str = ""  # whose rules file it came from; "" for a rule added in agent.toml

    def threshold(self, severity: str) -> float | None:
        return self.critical if severity == "critical" else self.warning
