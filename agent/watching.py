"""A collector's ear for events: one daemon thread that listens, wakes the runner, and is started again when it dies."""

import threading
from collections.abc import Callable

from agent.clock import Clock
from agent.logs import Log, bound, told
from collectors.base import Wake

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds; doubled from try to try


class _Wake:
    """What `watch` is handed."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.stopped = threading.Event()
        self._wake = wake

    def __call__(self) -> None:
        if not self.stopped.is_set():
            self._wake()


class Watcher:
    """Keeps `watch` running until `stop()`. `up` says whether it listens at this moment."""

    def __init__(
        self, name: str, watch: Callable[[Wake], None], wake: Callable[[], None], clock: Clock, log: Log
    ) -> None:
        self.up = False
        self._name, self._watch, self._clock, self._log = name, watch, clock, log
        self._wake = _Wake(wake)
        self._troubled = False
        self._listening_since = 0.0
        self._thread = threading.Thread(target=self._live, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to leave; does not wait."""
        self._wake.stopped.set()

    def note_recovery(self) -> None:
        """Log once that it listens again, as soon as it has done so for longer than it would have paused."""
        if self._troubled and self.up and self._held():
            self._troubled = False
            self._log.info("watch_recovered")

    def _live(self) -> None:
        pause = FIRST_PAUSE
        while not self._wake.stopped.is_set():
            trouble = self._listen()
            if self._wake.stopped.is_set():
                return
            if self._held():
                pause, self._troubled = FIRST_PAUSE, False
            if not self._troubled:
                self._log.warning("watch_failed", error=trouble)
            self._troubled = True
            if self._wake.stopped.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)

    def _listen(self) -> str:
        """Listen until it ends; return why it ended."""
        self._listening_since = self._clock.awake()
        self.up = True
        try:
            with bound(collector=self._name):
                self._watch(self._wake)
        except (Exception, SystemExit) as error:  # whatever it died of, it is started again
            return told(error)
        finally:
            self.up = False
        return "it returned before it was asked to"

    def _held(self) -> bool:
        return self._clock.awake() - self._listening_since >= LONGEST_PAUSE
