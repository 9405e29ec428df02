"""The board: what each collector said last, for readers that must never wait for a writer."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from collectors.base import Reading


@dataclass(frozen=True, slots=True)
class CollectorState:
    """One collector as it stands. Times are unix seconds, spans are seconds."""

    name: str
    every: float
    timeout: float
    readings: tuple[Reading, ...] = ()  # of the last run, the runner's own among them
    at: float | None = None  # when it last reported: the end of a run, or the word that a run is overdue
    success: bool | None = None  # None: never reported
    duration: float = 0.0  # of the last finished run
    last_success: float | None = None
    running_since: float | None = None
    error: str = ""
    troubles: tuple[tuple[str, str], ...] = ()  # target, error

    def shifted(self, seconds: float) -> "CollectorState":
        """The same after the wall clock was set by so much."""
        def moved(at: float | None) -> float | None:
            return None if at is None else at + seconds
        return replace(self, at=moved(self.at), last_success=moved(self.last_success),
                       running_since=moved(self.running_since))


class Board:
    """Readers take the whole picture, which never changes under them; a writer hangs up a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: Mapping[str, CollectorState] = MappingProxyType({})

    def put(self, state: CollectorState) -> None:
        with self._lock:
            self._states = MappingProxyType({**self._states, state.name: state})

    def drop(self, name: str) -> None:
        """Forget a collector that is not watched any more; one that is not here is no mistake."""
        with self._lock:
            self._states = MappingProxyType({n: state for n, state in self._states.items() if n != name})

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: what was said keeps its age."""
        with self._lock:
            self._states = MappingProxyType({name: state.shifted(seconds) for name, state in self._states.items()})

    def snapshot(self) -> Mapping[str, CollectorState]:
        return self._states
