"""The board: what each collector said last, for readers that must never wait for a writer."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
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

    def snapshot(self) -> Mapping[str, CollectorState]:
        return self._states
