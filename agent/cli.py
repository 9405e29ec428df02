"""The command line. What changes anything goes through the running daemon; heavy modules load inside commands.

Exit codes: 0 good, 1 problem found, 2 usage or configuration error (an unknown code or contact and a daemon that does
not run are among them).
"""

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import click

from agent import VERSION
from agent.whatsapp_cli import whatsapp

if TYPE_CHECKING:
    from agent.config import Config
    from agent.wording import Wording

PLACES = (Path("agent.toml"), Path("/etc/jaga/agent.toml"))
PROBLEM, USAGE = 1, 2  # exit codes
PROOF_WAIT = 120.0  # seconds that a test message's proof is waited for
LEEWAY = 5.0  # seconds beyond that for the answer itself

F = TypeVar("F", bound=Callable[..., Any])


def main() -> None:
    """The command `jaga`."""
    group.main(prog_name="jaga")


def _configured(command: F) -> F:
    return click.option("--config", "path", type=click.Path(path_type=Path), metavar="FILE",
                        help="Configuration file (default: ./agent.toml, then /etc/jaga/agent.toml).")(command)


def _as_json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, message="jaga %(version)s")
def group() -> None:
    """Jaga keeps watch over this machine and wakes the right person.

    Exit codes: 0 good, 1 problem found, 2 usage or configuration error.
    """


group.add_command(whatsapp)

@group.command()
@_configured
def run(path: Path | None) -> None:
    """Run the daemon until it is told to stop."""
    from agent import logs
    from agent.app import App, hold_signals
    from agent.config import ConfigError
    from agent.control import Occupied
    from alerts.ledger import StoreError

    logs.configure()
    hold_signals()
    try:
        app = App(_file(path))
    except ConfigError as error:
        _mistaken(error)
    except (Occupied, StoreError) as error:
        _stop(str(error))
    app.run()


@group.command()
@click.argument("names", metavar="[COLLECTOR]...", nargs=-1)
@_configured
@_as_json
def check(names: tuple[str, ...], path: Path | None, as_json: bool) -> None:
    """Measure once, print readings and verdicts, send nothing.

    Verdicts are by the thresholds alone, as if every `for` had passed. COLLECTOR is a name such as disk, or mysql:shop.
    """
    from agent import checking, logs

    logs.configure()
    logging.disable()  # what goes wrong is in the table
    config = _load(path)
    words = _words(config.agent.language)
    known = [each.name for each in config.collectors]
    for name in names:
        if not any(each == name or each.startswith(name + ":") for each in known):
            from alerts.text import fill

            _stop(fill(words.unknown_collector, {"collector": name, "path": str(config.path)}),
                  fill(words.known_collectors, {"collectors": ", ".join(known)}))
    checks = checking.check(config, names)
    if as_json:
        _print_json(checking.as_plain(checks))
    else:
        checking.tell(checks, config, time.time())
    sys.exit(PROBLEM if any(each.problems for each in checks) else 0)


@group.command(name="config")
@_configured
def show_config(path: Path | None) -> None:
    """Validate; print the effective configuration, secrets masked; say on standard error what would go unnoticed."""
    config = _load(path)
    from agent import coverage
    from agent.effective import effective

    click.echo(effective(config), nl=False)
    for notice in coverage.notices(config, time.time()):
        click.echo(notice, err=True)


@group.command()
@_configured
@_as_json
def incidents(path: Path | None, as_json: bool) -> None:
    """What is open. Exit code 1 when something is.

    --json prints agent, site, at, language and incidents: a list of code, key, severity, state (open or acked),
    flapping, headline, opened, since, closed, acked_by, acked_until, next (what, at, to) and members. Times are unix
    seconds.
    """
    answer = _ask(path, "incidents")
    if as_json:
        _print_json({key: value for key, value in answer.items() if key != "table"})
    elif answer["table"]:
        words = _words(answer["language"])
        _table({key: words.columns[key] for key in ("code", "severity", "headline", "since", "has_it", "next")},
               answer["table"])
    else:
        click.echo(_words(answer["language"]).none_open)
    sys.exit(PROBLEM if answer["incidents"] else 0)


def _duration(_context: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    from collectors.quantities import DURATION, parse

    try:
        return None if value is None else parse(DURATION, value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from error


@group.command()
@click.argument("code")
@click.option("--for", "lasts", callback=_duration, metavar="TIME", help='How long you need, such as "2h".')
@click.option("--note", default="", help="A word for the others; it goes into the history.")
@_configured
def ack(code: str, lasts: float | None, note: str, path: Path | None) -> None:
    """Take the incident CODE: nobody else is woken for it until the time is over."""
    click.echo(_ask(path, "ack", code=code, lasts=lasts, note=note)["text"])


@group.command()
@click.argument("code")
@_configured
def unack(code: str, path: Path | None) -> None:
    """Give the incident CODE back: escalation starts again."""
    click.echo(_ask(path, "unack", code=code)["text"])


@group.command()
@click.argument("matchers", nargs=-1)
@click.option("--for", "lasts", callback=_duration, metavar="TIME", help='How long, such as "2h"; needed.')
@click.option("--why", default="", help="The reason, for the others.")
@click.option("--expire", "id", default="", metavar="ID", help="End this silence instead (its first characters do).")
@_configured
def silence(matchers: tuple[str, ...], lasts: float | None, why: str, id: str, path: Path | None) -> None:
    """Be silent about what MATCHERS fit, such as unit=nginx or rule=~"disk_.*". Worse and other things still speak."""
    if id:
        click.echo(_ask(path, "expire", id=id)["text"])
        return
    if lasts is None:
        raise click.UsageError('a silence needs an end: add --for 2h')
    click.echo(_ask(path, "silence", matchers=list(matchers), lasts=lasts, why=why)["text"])


@group.command()
@_configured
@_as_json
def silences(path: Path | None, as_json: bool) -> None:
    """List the silences in force."""
    answer = _ask(path, "silences")
    words = _words(answer["language"])
    if as_json:
        _print_json({"silences": answer["silences"]})
    elif answer["table"]:
        _table({key: words.columns[key] for key in ("id", "matchers", "until", "who", "why")}, answer["table"])
    else:
        click.echo(words.no_silences)


@group.command(name="notify-test")
@click.argument("contact")
@_configured
@_as_json
def notify_test(contact: str, path: Path | None, as_json: bool) -> None:
    """Send CONTACT a real message by each channel; wait for the strongest proof and say how long it took."""
    from alerts.text import fill, line

    answer = _ask(path, "notify_test", PROOF_WAIT + LEEWAY, contact=contact, wait=PROOF_WAIT)
    if as_json:
        _print_json(answer)
    words = _words(_language(_file(path)))
    for each in () if as_json else answer:
        said = {"contact": contact, "channel": each["channel"], "seconds": str(each["seconds"]),
                "proof": words.proofs.get(each["proof"], ""), "error": line(each["error"]) or words.no_proof}
        click.echo(fill(words.tested if _arrived(each) else words.test_failed, said))
    sys.exit(0 if answer and all(map(_arrived, answer)) else PROBLEM)


def _arrived(result: Mapping[str, Any]) -> bool:
    return bool(result["proof"]) and result["state"] != "failed"


@group.command()
@click.option("--at", "at", default="", metavar="WHEN", help='Local time, such as "2026-12-24 08:00" or "Mon 08:00".')
@_configured
@_as_json
def oncall(at: str, path: Path | None, as_json: bool) -> None:
    """Who is on duty now or at a time, until when, and who comes next.

    --json prints at, zone, on_duty and upcoming (person, display, since, until, why: alone, rotation or override) and
    overrides that are not over. Times are unix seconds.
    """
    from agent import oncall as duty

    config, now = _load(path), time.time()
    try:
        moment = duty.when(at, ZoneInfo(config.policy.zone), now) if at else now
    except ValueError as error:
        raise click.BadParameter(f"{at!r} {error}", param_hint="--at") from error
    if as_json:
        _print_json(duty.as_plain(config.policy, moment))
    else:
        duty.tell(config, moment, now)


@group.command()
@_configured
@_as_json
def coverage(path: Path | None, as_json: bool) -> None:
    """Who would notice, hour by hour, that a part died, and who would be told. Exit code 1 when something is blind.

    From the configuration alone, for the seven days from today. --json prints at, zone, blind (hours of the week in
    which something is) and stretches (part, name, notices, hears, channels, after, until, mend, blind and hours, from
    Monday's midnight). Times are unix seconds.
    """
    from agent import coverage as watched

    config, now = _load(path), time.time()
    plain = watched.as_plain(config, now)
    if as_json:
        _print_json(plain)
    else:
        watched.tell(config, now)
    sys.exit(PROBLEM if plain["blind"] else 0)


@group.command()
@click.option("--propose", is_flag=True, help="Print thresholds proposed from what the first week saw, for agent.toml.")
@_configured
@_as_json
def rules(propose: bool, path: Path | None, as_json: bool) -> None:
    """The rules in force: what each judges, when it is a problem, and its row in the SOP."""
    if propose:
        answer = _ask(path, "propose")
        if as_json:
            _print_json(answer)
        else:
            click.echo(answer["toml"] or _words(_language(_file(path))).no_proposals)
        return
    config = _load(path)
    if as_json:
        import msgspec

        _print_json([msgspec.to_builtins(rule) for rule in config.rules.values()])
        return
    from agent.conditions import condition

    words = _words(config.agent.language)
    _table({"rule": words.columns["rule"], "metric": words.columns["metric"], "condition": words.columns["condition"],
            "sop": words.columns["sop"]},
           [{"rule": rule.name, "metric": rule.metric, "condition": condition(rule, config.agent.language),
             "sop": rule.sop} for rule in config.rules.values()])


@group.command()
@click.argument("contact")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_configured
def forget(contact: str, yes: bool, path: Path | None) -> None:
    """Erase what is kept of CONTACT: messages, numbers, and the name in the history."""
    from alerts.text import fill

    words = _words(_language(_file(path)))
    if not yes:
        click.confirm(fill(words.forget_sure, {"contact": contact}), abort=True)
    click.echo(_ask(path, "forget", contact=contact)["text"])


# --- what the commands share -------------------------------------------------------------------------------------


def _file(path: Path | None) -> Path:
    if path is not None:
        return path
    # os.path, for a folder that we may not look into counts as one without a file
    return next((place for place in PLACES if os.path.isfile(place)), PLACES[-1])


def _load(path: Path | None) -> "Config":
    from agent.config import ConfigError, load

    try:
        return load(_file(path))
    except ConfigError as error:
        _mistaken(error)


def _mistaken(error: Any) -> NoReturn:
    for problem in error.problems:
        click.echo(str(problem), err=True)
    sys.exit(USAGE)


def _ask(path: Path | None, verb: str, patience: float = LEEWAY, **params: Any) -> Any:
    from agent import control
    from alerts.text import fill

    file = _file(path)
    try:
        return control.ask(control.find(file), verb, patience=patience, **params)
    except control.NotRunning as error:
        words = _words(_language(file))
        why = f" ({error.why})" if error.why else ""
        _stop(fill(words.not_running, {"path": str(error.path), "why": why}), words.start_it)
    except control.Barred as barred:
        words = _words(_language(file))
        _stop(fill(words.barred, {"path": str(barred)}), words.let_in)
    except control.Declined as declined:
        _stop(declined.error, declined.hint)


def _stop(error: str, hint: str = "") -> NoReturn:
    click.echo(error, err=True)
    if hint:
        click.echo(hint, err=True)
    sys.exit(USAGE)


def _language(file: Path) -> str:
    """The configured language without reading all of the file's meaning; a broken file is another command's news."""
    import tomllib

    try:
        agent = tomllib.loads(file.read_text("utf-8")).get("agent", {})
    except (OSError, ValueError):
        return "id"
    return str(agent.get("language", "id")) if isinstance(agent, dict) else "id"


def _words(language: str) -> "Wording":
    from agent.wording import wording

    return wording(language)


def _print_json(value: object) -> None:
    import json

    click.echo(json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Without infinities and NaN, which JSON does not know: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> None:
    from agent.tables import show

    show(columns, rows)
