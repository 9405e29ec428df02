"""Logs: one shape for ours and the libraries', JSON for the journal, colours on a terminal, nothing secret in them.

Import structlog through this module, or after it: on its own structlog loads rich, which costs 6 MiB and 50 ms.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from collectors.secret import Secret
from collectors.storable import storable


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let an optional import of `module` fail, unless it is loaded already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # None is how the import system is told "not here"
    try:
        yield
    finally:
        del sys.modules[module]


with _hidden("rich"):
    import structlog

Log = structlog.stdlib.BoundLogger
bound = structlog.contextvars.bound_contextvars  # fields for every line that is logged inside

_QUIET = ("apscheduler", "waitress", "twilio.http_client", "httpx", "httpcore", "urllib3")
_HANDLER = "jaga"
ERROR_LENGTH = 300

_SECRET_KEY = re.compile(r"passw|secret|token|authorization|api_?key|cookie|credential", re.I)
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    # https://user:password@host, mysql://user:password@host
    (re.compile(r"(?<=://)([^\s/:@]*):[^\s/@]+@"), r"\1:***@"),
    # Telegram has its token in the path of every URL
    (re.compile(r"\bbot\d{6,}:[\w-]{20,}"), "bot***"),
    (re.compile(r"\b(Bearer|Basic) [\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?i)\b([\w-]*(?:password|passwd|secret|token|api_?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"),
     r"\1***"),
    # e-mail addresses, but not systemd's template instances (getty@tty1.service)
    (re.compile(r"\b([\w.%+-])[\w.%+-]*@((?:[\w-]+\.)+(?!(?:service|socket|timer|target|mount|slice|scope|path|device"
                r"|swap|automount)\b)[A-Za-z]{2,})\b"), r"\1***@\2"),
    # telephone numbers: +62 812-3456-7890, 628123456789, 0812 3456 7890, 021-5551234; not dates, sizes, time stamps
    (re.compile(r"(?<![\w.+-])(?:\+\d{1,3}[ -]?|62|0)\d{2,3}(?:[ -]?\d{3,5}){2,3}(?<=(\d{3}))(?![\w.]*\d)"), r"***\1"),
)


def mask(text: str) -> str:
    """Hide credentials, and all of a telephone number or e-mail address but its last three digits or its domain."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


def told(error: BaseException) -> str:
    """An error as one masked line of at most 300 characters: `OSError: /srv: Stale file handle`.

    A collector's own errors are whole sentences already, and their class tells nobody anything.
    """
    kind, text = type(error).__name__, " ".join(str(error).split())
    sentence = bool(text) and type(error).__module__.startswith("collectors.")
    line = storable(mask(text if sentence else f"{kind}: {text}" if text else kind))
    return line if len(line) <= ERROR_LENGTH else line[: ERROR_LENGTH - 1] + "…"


def get_logger(name: str = "") -> Log:
    """A logger of this house: events are short fixed words, everything else is a field."""
    logger: Log = structlog.stdlib.get_logger(name or None)
    return logger


class Turns:
    """Logs the first failure of a kind and the recovery, not the hours between: `disk_failed`, `disk_recovered`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._faults: dict[tuple[str, ...], str] = {}

    def say(self, subject: str, fault: str = "", error: str = "", exc_info: bool = False, **which: str) -> None:
        """`fault` is the kind of failure, "" for good; `which` says of what, and goes into the line."""
        key = (subject, *which.values())
        before = self._faults.pop(key, "")
        if fault:
            self._faults[key] = fault
        if fault and fault != before:
            self._log.warning(f"{subject}_failed", error=error, exc_info=exc_info, **which)
        elif before and not fault:
            self._log.info(f"{subject}_recovered", **which)


def configure(json: bool | None = None) -> None:
    """Send every log line to stderr, as JSON unless stderr is a terminal. May be called again."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # to text before it is masked; without local variables
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    out: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, timestamp_key="at")
    )
    _install(structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _masked, out],
    ))


def _install(formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.name = _HANDLER
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [other for other in root.handlers if other.name != _HANDLER] + [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:  # httpx says every URL at INFO, and a URL may be a secret
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _masked(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _mask_value(value, key) for key, value in event.items()}


def _mask_value(value: object, key: str = "") -> object:
    if isinstance(value, Secret) or (value and _SECRET_KEY.search(key)):
        return "***"
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {name: _mask_value(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask_value(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask(repr(value))
