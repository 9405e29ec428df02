"""Log lines: their shape, and what must never stand in them."""

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from agent import logs
from agent.logs import Turns, configure, get_logger, mask, told
from collectors.secret import Secret
from collectors.systemd_bus import SystemdError

MASKED = {
    "+62 812-3456-7890": "***890",
    "whatsapp:+6281234567890": "whatsapp:***890",
    "to 081234567890 failed": "to ***890 failed",
    "628123456789@c.us": "6***@c.us",
    "021-5551234": "***234",
    "+14155550123.": "***123.",
    "budi.santoso@kopkarskf.com": "b***@kopkarskf.com",
    "<b@x.co.id>: rejected": "<b***@x.co.id>: rejected",
    "mysql://jaga:s3cret@db/koperasi": "mysql://jaga:***@db/koperasi",
    "https://api.telegram.org/bot123456789:AAEabcdefghijklmnopqrstuvwxyz/send": "https://api.telegram.org/bot***/send",
    "Authorization: Bearer abcdefgh12345": "Authorization: Bearer ***",
    'using password="hunter2"': 'using password="***"',
    "?token=abc&to=1": "?token=***&to=1",
}
LEFT_ALONE = [
    "2026-11-22T10:00:00.123456Z", "1700000000", "0.01 0.05 0.10 1/345 12345", "0 10 20 30 40 50", "Rp 1.234.567",
    "getty@tty1.service failed", "root@localhost", "used 412345678901 of 500107862016 bytes", "UTC+07:00", "+0700",
    "550e8400-e29b-41d4-a716-046655440000", "/srv: Stale file handle", "10.20.30.40:3306", "pid 1234567",
]


class Lines:
    """What was written to stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def all(self) -> list[str]:
        return self._capsys.readouterr().err.splitlines()

    def only(self) -> dict[str, Any]:
        (line,) = self.all()
        value: dict[str, Any] = json.loads(line)
        return value


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Logging may be configured in this test; everything is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Lines(capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.mark.parametrize(("text", "masked"), MASKED.items())
def test_people_and_secrets_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_a_technician_needs_is_left_alone(text: str) -> None:
    assert mask(text) == text


def test_one_line_of_json_carries_the_fields_and_the_context(lines: Lines) -> None:
    configure()  # stderr is no terminal here
    with logs.bound(collector="disk"):
        get_logger("jaga.test").info("collector_failed", error="/srv: Stale file handle", seconds=3)
    line = lines.only()
    assert line.pop("at").endswith("Z")
    assert line == {"event": "collector_failed", "level": "info", "logger": "jaga.test", "collector": "disk",
                    "error": "/srv: Stale file handle", "seconds": 3}


def test_a_librarys_line_has_the_same_shape(lines: Lines) -> None:
    configure()
    logging.getLogger("somebody.else").warning("call to %s failed", "081234567890")
    line = lines.only()
    assert (line["event"], line["level"], line["logger"]) == ("call to ***890 failed", "warning", "somebody.else")


@pytest.mark.parametrize("name", ["apscheduler.scheduler", "waitress", "twilio.http_client", "httpx"])
def test_talkative_libraries_are_heard_only_when_they_warn(lines: Lines, name: str) -> None:
    configure()
    logging.getLogger(name).info("GET https://api.example/secret")
    assert lines.all() == []
    logging.getLogger(name).error("it broke")
    assert lines.only()["event"] == "it broke"


def test_secrets_are_masked_however_deep_they_lie(lines: Lines) -> None:
    configure()
    secret = Secret("credential twilio_token", lambda: "s3cret")
    get_logger().warning(
        "sent", key=secret, auth_token="s3cret", ok=True, body={"to": ["+6281234567890"], "password": "s3cret"},
        proof=ValueError("budi@kopkarskf.com"))
    line = lines.only()
    assert {name: line[name] for name in ("key", "auth_token", "ok", "body", "proof")} == {
        "key": "***", "auth_token": "***", "ok": True, "body": {"to": ["***890"], "password": "***"},
        "proof": "ValueError('b***@kopkarskf.com')"}


def test_a_traceback_is_masked_and_shows_no_variables(lines: Lines) -> None:
    configure()
    try:
        hidden = "s3cret"
        raise ValueError("budi@kopkarskf.com" + hidden[:0])
    except ValueError:
        get_logger().exception("failed")
    text = lines.only()["exception"]
    assert "ValueError: b***@kopkarskf.com" in text
    assert "s3cret'" not in text


@pytest.mark.parametrize("json_wanted", [True, False])
def test_configuring_again_does_not_double_the_lines(lines: Lines, json_wanted: bool) -> None:
    configure(json_wanted)
    configure(json_wanted)
    get_logger().info("ready", to="+6281234567890")
    (line,) = lines.all()
    assert "ready" in line
    assert "***890" in line
    assert ("\x1b[" in line) is not json_wanted


def test_a_warning_of_python_is_a_line_too(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure()
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert lines.only()["logger"] == "py.warnings"


def test_an_error_is_told_in_one_masked_line_of_bounded_length() -> None:
    assert told(OSError("/srv:\n  Stale file handle")) == "OSError: /srv: Stale file handle"
    assert told(TimeoutError()) == "TimeoutError"
    assert told(SystemdError("this machine has no systemd")) == "this machine has no systemd"  # a sentence already
    assert told(ValueError("mail budi@kopkarskf.com")) == "ValueError: mail b***@kopkarskf.com"
    assert told(OSError("/srv/\udcff: cannot be read")) == "OSError: /srv/\\udcff: cannot be read"
    assert (len(told(ValueError("x" * 999))), told(ValueError("x" * 999))[-1]) == (300, "…")


def test_the_first_failure_and_the_recovery_are_logged_and_not_the_hours_between() -> None:
    with structlog.testing.capture_logs() as lines:
        turns = Turns(get_logger())
        for fault in ("", "OSError", "OSError", "Timeout", "Timeout", "", ""):
            turns.say("target", fault, f"{fault}: text" if fault else "", target="/srv")
    assert [(line["event"], line.get("error"), line["target"]) for line in lines] == [
        ("target_failed", "OSError: text", "/srv"), ("target_failed", "Timeout: text", "/srv"),
        ("target_recovered", None, "/srv")]


def test_logging_does_not_load_rich() -> None:
    code = "import agent.logs, sys; agent.logs.configure(); print('rich' in sys.modules); import rich.console"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"
