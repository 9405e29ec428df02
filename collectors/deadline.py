"""Questions to the kernel that may never be answered (a dead network mount): each waits in a thread of its own."""

import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Generic, TypeVar, cast

T = TypeVar("T")

# A mount that hangs for a week holds one thread, not ten thousand.
_open: dict[tuple[str, str], "Question[object]"] = {}
_lock = Lock()


class Question(Generic[T]):
    """One question under way; `ask` makes it."""

    def __init__(self, verb: str, place: str) -> None:
        self.verb, self.place = verb, place
        self._asked = time.monotonic()
        self._done = Event()
        self._answer: T
        self._error: Exception | None = None

    def answer(self, timeout: float) -> T:
        """The answer, or the error that it met; TimeoutError `timeout` seconds after it was first asked.

        So one that hangs since an earlier run costs nothing, and several that are asked together time out together.
        """
        if not self._done.wait(max(0.0, self._asked + timeout - time.monotonic())):
            waited = time.monotonic() - self._asked
            raise TimeoutError(f"{self.place}: no answer for {waited:.0f} s")
        if isinstance(self._error, OSError) and self._error.strerror:
            raise OSError(f"{self._error.filename or self.place}: {self._error.strerror}") from self._error
        if self._error is not None:
            raise self._error
        return self._answer

    def _find(self, how: Callable[[], T]) -> None:
        try:
            self._answer = how()
        except Exception as error:  # it belongs to whoever waits in `answer`
            self._error = error
        with _lock:
            del _open[self.verb, self.place]
        self._done.set()


def ask(verb: str, place: str, how: Callable[[], T]) -> Question[T]:
    """Start `how` in a daemon thread; while the same question of the same place is open, that one is handed out."""
    with _lock:
        if (verb, place) in _open:
            return cast("Question[T]", _open[verb, place])
        question = Question[T](verb, place)
        _open[verb, place] = cast("Question[object]", question)
    Thread(target=question._find, args=(how,), name=f"{verb} {place}", daemon=True).start()
    return question
