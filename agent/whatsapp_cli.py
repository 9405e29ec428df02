"""`jaga whatsapp templates`: the message templates that WhatsApp must approve, submitted once and followed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from alerts.notifiers.twilio import Twilio
    from alerts.notifiers.twilio_content import Place


@click.group()
def whatsapp() -> None:
    """WhatsApp by Twilio."""


@whatsapp.command()
@click.option("--submit", "submits", is_flag=True,
              help="Store what the account lacks and send it to WhatsApp for approval; never twice.")
@click.option("--status", "asks", is_flag=True, help="How far the approval got, and why one was rejected.")
@click.option("--notifier", "name", default="", metavar="NAME", help="Which one, where several use Twilio.")
@click.option("--config", "path", type=click.Path(path_type=Path), metavar="FILE",
              help="Configuration file (default: ./agent.toml, then /etc/jaga/agent.toml).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def templates(submits: bool, asks: bool, name: str, path: Path | None, as_json: bool) -> None:
    """Print the message templates; submit them to WhatsApp; show how far their approval got.

    Exit code 1 when one is not on its way: not submitted, rejected, paused, disabled, or with another text.
    """
    from agent import cli
    from alerts.notifiers.twilio_templates import OPTIONS

    if not (submits or asks):
        if as_json:
            cli._print_json([template.content() for template in OPTIONS.values()])
        else:
            click.echo("\n\n".join(map(_described, OPTIONS)))
        return
    config = cli._load(path)
    words = _WORDS[config.agent.language]
    name, twilio = _twilio(config.notifiers, name, words)
    places = _places(twilio, submits, words)
    if as_json:
        cli._print_json([_plain(option, place) for option, place in places.items()])
    else:
        cli._table(words.columns, [_row(option, place, words) for option, place in places.items()])
        _tell_lines(name, twilio, places, words)
    sys.exit(0 if all(map(_fine, places.values())) else cli.PROBLEM)


class _Words(NamedTuple):  # without msgspec, for `jaga --version` loads this module
    columns: dict[str, str]
    differs: str
    just_submitted: str
    paste: str
    wait: str
    submit_it: str
    none: str
    several: str
    troubled: str
    again: str


_WORDS = {
    "id": _Words(
        columns={"option": "Opsi", "name": "Nama", "sid": "ContentSid", "status": "Status", "note": "Catatan"},
        differs="teksnya lain dari yang dibawa Jaga: hapus di konsol Twilio, lalu --submit lagi",
        just_submitted="baru diajukan",
        paste="Tulis di agent.toml, lalu systemctl reload jaga:",
        wait="Tunggu persetujuan WhatsApp (biasanya sampai 24 jam): jaga whatsapp templates --status",
        submit_it="Ajukan yang belum: jaga whatsapp templates --submit",
        none="Tidak ada notifier Twilio: tambahkan [notifiers.twilio] di agent.toml (docs/whatsapp.md)",
        several="Sebut salah satu dengan --notifier: {names}",
        troubled="Twilio: {why}", again="Jalankan lagi: yang sudah sampai ditemukan dan tidak diajukan dua kali"),
    "en": _Words(
        columns={"option": "Option", "name": "Name", "sid": "ContentSid", "status": "Status", "note": "Note"},
        differs="its text is not the one that Jaga ships: delete it in Twilio's console, then --submit again",
        just_submitted="submitted just now",
        paste="Write into agent.toml, then systemctl reload jaga:",
        wait="Wait for WhatsApp's approval (up to 24 hours as a rule): jaga whatsapp templates --status",
        submit_it="Submit what is not there yet: jaga whatsapp templates --submit",
        none="No notifier uses Twilio: add [notifiers.twilio] to agent.toml (docs/whatsapp.md)",
        several="Name one of them with --notifier: {names}",
        troubled="Twilio: {why}", again="Run it again: what arrived is found and not submitted twice"),
}


def _described(option: str) -> str:
    from alerts.notifiers.twilio_templates import CATEGORY, OPTIONS

    template = OPTIONS[option]
    samples = "\n".join(f"{{{{{number}}}}} = {sample}" for number, sample in enumerate(template.samples, 1))
    head = f"# {option}: {template.name}, {template.language}, {CATEGORY}, quick-reply [{template.button}]"
    return f"{head}\n{template.body}\n{samples}"


def _twilio(notifiers: dict[str, Any], name: str, words: _Words) -> "tuple[str, Twilio]":
    from agent import cli
    from alerts.notifiers.twilio import Twilio
    from alerts.text import fill

    found = {each: notifier for each, notifier in notifiers.items() if isinstance(notifier, Twilio)}
    if not found:
        cli._stop(words.none)
    if name not in found and (name or len(found) > 1):
        cli._stop(fill(words.several, {"names": ", ".join(found)}))
    chosen = name or next(iter(found))
    return chosen, found[chosen]


def _places(twilio: "Twilio", submits: bool, words: _Words) -> "dict[str, Place]":
    from alerts.notification import Busy, Refused, Uncertain
    from alerts.notifiers import twilio_content
    from alerts.notifiers.twilio_templates import OPTIONS
    from alerts.text import fill

    try:
        content = twilio.content
        stored = content.stored()
        places = {option: twilio_content.find(content, stored, template, getattr(twilio, option))
                  for option, template in OPTIONS.items()}
        if submits:
            places = {option: twilio_content.submit(content, place) for option, place in places.items()}
        return places
    except (Busy, Refused, Uncertain) as trouble:
        from agent import cli

        click.echo(fill(words.troubled, {"why": trouble.why}), err=True)
        if not isinstance(trouble, Refused):
            click.echo(words.again, err=True)
        sys.exit(cli.PROBLEM)


def _fine(place: "Place") -> bool:
    from alerts.notifiers.twilio_content import APPROVED, WAITING

    return place.approval.status in (APPROVED, *WAITING) and not place.differs


def _row(option: str, place: "Place", words: _Words) -> dict[str, str]:
    notes = (words.just_submitted if place.submitted else "", words.differs if place.differs else "",
             place.approval.reason)
    return {"option": option, "name": place.template.name, "sid": place.sid or "-", "status": place.approval.status,
            "note": "; ".join(filter(None, notes))}


def _plain(option: str, place: "Place") -> dict[str, Any]:
    return {"option": option, "name": place.template.name, "sid": place.sid, "status": place.approval.status,
            "reason": place.approval.reason, "differs": place.differs, "submitted": place.submitted}


def _tell_lines(name: str, twilio: "Twilio", places: "dict[str, Place]", words: _Words) -> None:
    from alerts.notifiers.twilio_content import MISSING, UNSUBMITTED, WAITING

    lines = [f'{option} = "{place.sid}"' for option, place in places.items()
             if place.sid and not place.differs and getattr(twilio, option) != place.sid]
    if lines:
        click.echo("\n".join(["", words.paste, f"[notifiers.{name}]", *lines]))
    states = {place.approval.status for place in places.values() if not place.differs}
    if states & {MISSING, UNSUBMITTED}:
        click.echo(f"\n{words.submit_it}")
    if states & set(WAITING):
        click.echo(f"\n{words.wait}")
