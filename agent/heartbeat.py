"""`[heartbeat]`: tells a service outside, by the Healthchecks protocol, that alerting works; its silence is the alarm.

The protocol (healthchecks.io/docs/http_api): URL alone is success, URL/start a beginning, URL/fail a failure whose body
is kept; `rid` pairs a beginning with its end. More than five calls a minute are turned away.
"""

import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from agent.clock import Clock
from agent.config import Heartbeat
from agent.logs import Turns, get_logger
from alerts.notification import Busy, Uncertain
from alerts.notifiers import posting
from collectors.secret import Secret

TIMEOUT = 5.0  # seconds for connecting and for each wait; a try anew helps more than patience
PAUSES: Final = (1.0, 4.0)  # seconds between the tries of one call
FAIL_AGAIN = 300.0  # seconds between two words on a failure that lasts: the service has told people at the first
LONGEST_BODY = 1000  # characters

Kind = Literal["start", "success", "fail"]
_ENDS: Final[dict[Kind, str]] = {"start": "/start", "success": "", "fail": "/fail"}


class Heart:
    """Sends what it was told last. Its thread is its own: an endpoint that hangs stops nothing but the heartbeat."""

    def __init__(self, settings: Callable[[], Heartbeat], clock: Clock, pauses: Sequence[float] = PAUSES) -> None:
        self._settings, self._clock, self._pauses = settings, clock, pauses
        self._turns = Turns(get_logger(__name__))
        self._lock = threading.Lock()
        self._next: tuple[Kind, str] | None = None
        self._awake, self._stopped = threading.Event(), threading.Event()
        self._rid = str(uuid.uuid4())  # of this process' beginning, and of the first word after it
        self._failed_at: float | None = None  # by the clock of waking hours: when a lasting failure was said last
        self._failing_since: float | None = None  # likewise
        self.error = ""  # why the service cannot be reached at present
        self.last_success: float | None = None  # unix seconds: when it last took the word that all is well
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._put("start", "")
        self._thread.start()

    def stop(self) -> None:
        """Ask it to leave; does not wait."""
        self._stopped.set()
        self._awake.set()

    def beat(self, failures: Sequence[str]) -> None:
        """Alerting works, or does not for these reasons (no secret and nobody's name in them). Returns at once."""
        if not failures:
            self._failed_at = None
            self._put("success", "")
            return
        now = self._clock.awake()
        if self._failed_at is None or now - self._failed_at >= FAIL_AGAIN:
            self._failed_at = now
            self._put("fail", "\n".join(failures)[:LONGEST_BODY])

    def failing(self) -> float:
        """Seconds since which the service takes nothing; 0.0 while it does."""
        return 0.0 if self._failing_since is None else max(0.0, self._clock.awake() - self._failing_since)

    def _put(self, kind: Kind, body: str) -> None:
        with self._lock:  # what was not sent yet is overtaken: only the last word is true
            self._next = (kind, body)
        self._awake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._awake.wait()
            self._awake.clear()
            with self._lock:
                wanted, self._next = self._next, None
            url = self._settings().url
            if wanted is not None and url is not None:
                self._send(*wanted, url)

    def _send(self, kind: Kind, body: str, url: Secret) -> None:
        error = ""
        for pause in (*self._pauses, None):
            error, again = self._try(kind, body, url)
            if not error or not again or pause is None or self._stopped.wait(pause) or self._next is not None:
                break
        if kind != "start" and not error:
            self._rid = str(uuid.uuid4())
        self.error = error
        if error:
            self._failing_since = self._clock.awake() if self._failing_since is None else self._failing_since
        else:
            self._failing_since = None
            self.last_success = self._clock.now() if kind == "success" else self.last_success
        self._turns.say("heartbeat", "unreached" if error else "", error)

    def _try(self, kind: Kind, body: str, url: Secret) -> tuple[str, bool]:
        """One call: what went wrong, "" for nothing, and whether another try may help."""
        parts = urlsplit(url.reveal())
        query = "&".join(filter(None, (parts.query, f"rid={self._rid}")))
        address = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + _ENDS[kind], query, ""))
        try:
            answer = posting.post(address, body.encode(), {"Content-Type": "text/plain; charset=utf-8"}, TIMEOUT,
                                  "the heartbeat service")
        except (Busy, Uncertain) as failure:
            return failure.why, True
        except Exception as failure:  # its text may hold the address
            return f"the address cannot be called: {type(failure).__name__}", False
        said = answer.body.decode("utf-8", "replace").strip()
        if 200 <= answer.status < 300 and "not found" not in said:  # "OK (not found)": it knows no such check
            return "", False
        if 200 <= answer.status < 300 or answer.status in (404, 409, 410):
            return "the heartbeat service does not know the address in [heartbeat] url", False
        return f"the heartbeat service answered {answer.status}", answer.status == 429 or answer.status >= 500
