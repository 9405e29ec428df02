"""A digest in words: one line that stands alone, then a line a row, then how to sign; in both languages."""

from collections.abc import Iterable, Sequence

import msgspec

from alerts.digest import WAITS_FOR_THE_DIGEST, Digest, Judged, ToSign
from alerts.incident import Incident, Told
from alerts.notification import Notification, Section
from alerts.policy import Policy
from alerts.problem import Reader, topic
from alerts.telling import notify
from alerts.text import fill, line

TOO_LATE = 4 * 3600.0  # seconds after which nobody wants the morning's list any more
TOPICS = 2  # problems named in the first line; the rest is counted
LISTED = 5  # incidents named in a list: it must stay one look long
SIGNS = {"good": "✓", "bad": "✗", "unknown": "?"}  # a shape and a word, for whoever cannot tell colours

ID = {
    "count": "{good} dari {total} baik",
    "nothing": "Belum ada yang dipantau dari daftar pagi",
    "is_unknown": "{title} tidak diketahui",
    "more": "dan {count} lainnya",
    "since": "Pemeriksaan pagi, {at}",
    "since_late": "Pemeriksaan pagi {at}, terlambat: Jaga tidak berjalan saat itu",
    "good": "{sign} {title}: baik",
    "bad": "{sign} {title}: bermasalah. {about}",
    "unknown": "{sign} {title}: tidak diketahui. {why}",
    "never": "Belum ada data.",
    "old": "Data terakhir sudah lama.",
    "failed": "Pemeriksaannya gagal.",
    "silent": "Sumber diam; terakhir: {about}",
    "unwatched": "Tidak dipantau: {titles}",
    "held": "Ditahan, belum dikirim sebagai pesan:",
    "open": "Masih terbuka:",
    "item": "- {code} {about}",
    "acked": "ditangani {who}",
    "over": "sudah selesai",
    "waits": "ditahan",
    "signed": "✓ {title}: {who}, {at}",
    "unsigned": "Perlu ditandatangani: {titles}",
    "how": "Setelah dicoba, balas: {replies}",
    "reminder": "Belum ditandatangani: {titles}",
    "passed": "Belum ditandatangani {who}: {titles}. Tolong dicoba",
    "reminded": "Daftar pagi {at}",
    "proposals": "Minggu pertama selesai. {count} usulan ambang dari yang terlihat",
    "no_proposals": "Minggu pertama selesai. Tidak ada usulan ambang",
    "from_now": "Mulai sekarang peringatan dikirim, tidak hanya masuk ringkasan pagi.",
    "accept": "Bila setuju: tempel ke agent.toml, lalu systemctl reload jaga. Melihat lagi: jaga rules --propose",
}
EN = {
    "count": "{good} of {total} good",
    "nothing": "Nothing of the morning list is watched yet",
    "is_unknown": "{title} unknown",
    "more": "and {count} more",
    "since": "Morning check, {at}",
    "since_late": "Morning check {at}, late: Jaga was not running then",
    "good": "{sign} {title}: good",
    "bad": "{sign} {title}: bad. {about}",
    "unknown": "{sign} {title}: unknown. {why}",
    "never": "No data yet.",
    "old": "The last data is old.",
    "failed": "The check fails.",
    "silent": "The source is silent; last known: {about}",
    "unwatched": "Not watched: {titles}",
    "held": "Held back, not sent as a message:",
    "open": "Still open:",
    "item": "- {code} {about}",
    "acked": "{who} has it",
    "over": "over already",
    "waits": "held back",
    "signed": "✓ {title}: {who}, {at}",
    "unsigned": "To be signed: {titles}",
    "how": "When tried, reply: {replies}",
    "reminder": "Not signed yet: {titles}",
    "passed": "Not signed by {who}: {titles}. Please try them",
    "reminded": "Morning list of {at}",
    "proposals": "The first week is over. {count} thresholds proposed from what was seen",
    "no_proposals": "The first week is over. No threshold needs a change",
    "from_now": "From now on warnings are sent, and not only put into the morning digest.",
    "accept": "To accept: paste it into agent.toml, then systemctl reload jaga. To see it again: jaga rules --propose",
}
LANGUAGES = {"id": ID, "en": EN}


def digested(notification: Notification, digest: Digest, reader: Reader) -> Section:
    """The digest as the one section of its letter. Without a code: there is nothing to take."""
    words = LANGUAGES.get(reader.language, ID)
    headline, since, detail, answer = _PARTS[digest.kind](digest, reader, words)
    return Section(code="", mark=notification.mark, severity=notification.severity, reason="digest",
                   headline=headline, since=since, detail="\n".join(filter(None, detail)), answer=answer)


def digests(about: Digest, to: Iterable[Told], policy: Policy, now: float, *, code: str) -> list[Notification]:
    """The digest for each of them, to be numbered by the desk; `code` stands where an incident's would."""
    blank = Incident(code=code, key="digest", opened=now, members={}, severity="warning")
    return [msgspec.structs.replace(notify(blank, "digest", pair, policy, now, 0), digest=about,
                                    stale_at=now + TOO_LATE) for pair in to]


_Parts = tuple[str, str, list[str], str]
_Words = dict[str, str]


def _daily(digest: Digest, reader: Reader, words: _Words) -> _Parts:
    watched = [row for row in digest.rows if row.mark != "unwatched"]
    detail = [_row(row, reader, words) for row in watched]
    detail += _listed("held", digest.held, reader, words)
    detail += _listed("open", digest.open, reader, words)
    detail += [fill(words["signed"], {"title": _title(row, reader), "who": reader.called(row.signature.who),
                                      "at": reader.clock(row.signature.at)})
               for row in digest.sign if row.signature is not None]
    detail.append(_with_titles("unsigned", digest.unsigned, reader, words))
    detail.append(_with_titles("unwatched", [row for row in digest.rows if row.mark == "unwatched"], reader, words))
    since = fill(words["since_late" if digest.late else "since"], {"at": reader.clock(digest.at)})
    return _first_line(watched, reader, words), since, detail, _how(digest, reader, words)


def _first_line(watched: Sequence[Judged], reader: Reader, words: _Words) -> str:
    if not watched:
        return words["nothing"]
    good = sum(row.mark == "good" for row in watched)
    said = [_about(row, reader) for row in watched if row.mark == "bad"]
    said += [fill(words["is_unknown"], {"title": _title(row, reader)}) for row in watched if row.mark == "unknown"]
    shown = said[:TOPICS]
    if len(said) > TOPICS:
        shown.append(fill(words["more"], {"count": str(len(said) - TOPICS)}))
    count = fill(words["count"], {"good": str(good), "total": str(len(watched))})
    return "; ".join([count, *shown])


def _row(row: Judged, reader: Reader, words: _Words) -> str:
    codes = "; ".join(", ".join(filter(None, (each.code, _note(each, reader, words)))) for each in row.about)
    about = f"{_about(row, reader)} ({codes})" if row.about else ""
    why = fill(words[row.why], {"about": about}) if row.why else ""
    return fill(words[row.mark], {"sign": SIGNS[row.mark], "title": _title(row, reader), "about": about, "why": why})


def _about(row: Judged, reader: Reader) -> str:
    return "; ".join(topic(incident, True, reader) for incident in row.about)


def _listed(phrase: str, incidents: Sequence[Incident], reader: Reader, words: _Words) -> list[str]:
    lines = []
    for each in incidents[:LISTED]:
        note = _note(each, reader, words) if phrase == "open" or each.closed is not None else ""
        item = fill(words["item"], {"code": each.code, "about": topic(each, True, reader)})
        lines.append(f"{item} ({note})" if note else item)
    if len(incidents) > LISTED:
        lines.append(fill(words["more"], {"count": str(len(incidents) - LISTED)}))
    return [words[phrase], *lines] if lines else []


def _note(incident: Incident, reader: Reader, words: _Words) -> str:
    """Who has it, or that nobody was told of it."""
    if incident.closed is not None:
        return words["over"]
    if incident.acked_until is not None:
        return fill(words["acked"], {"who": reader.called(incident.acked_by)})
    return words["waits"] if incident.held_by in WAITS_FOR_THE_DIGEST else ""


def _reminder(digest: Digest, reader: Reader, words: _Words) -> _Parts:
    titles = ", ".join(_title(row, reader) for row in digest.unsigned)
    headline = fill(words[digest.kind], {"titles": titles, "who": line(digest.who)})
    return headline, fill(words["reminded"], {"at": reader.clock(digest.at)}), [], _how(digest, reader, words)


def _proposals(digest: Digest, reader: Reader, words: _Words) -> _Parts:
    count = sum(each.startswith("[rules.") for each in digest.toml.splitlines())
    headline = fill(words["proposals" if count else "no_proposals"], {"count": str(count)})
    return headline, "", [words["from_now"], *digest.toml.splitlines()], words["accept"] if count else ""


def _how(digest: Digest, reader: Reader, words: _Words) -> str:
    """How to sign, where an answer by this channel is read."""
    replies = " · ".join(f"{row.word} ok" for row in digest.unsigned)
    return fill(words["how"], {"replies": replies}) if replies and reader.two_way else ""


def _with_titles(phrase: str, rows: Iterable[Judged | ToSign], reader: Reader, words: _Words) -> str:
    titles = ", ".join(_title(row, reader) for row in rows)
    return fill(words[phrase], {"titles": titles}) if titles else ""


def _title(row: Judged | ToSign, reader: Reader) -> str:
    return line(row.title.en if reader.language == "en" else row.title.id)


_PARTS = {"daily": _daily, "reminder": _reminder, "passed": _reminder, "proposals": _proposals}
