"""What people read, word for word: every reason to speak, in both languages."""

import unicodedata
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incident import Finding, Incident, Told
from alerts.notification import Notification
from alerts.phrases import EN, ID
from alerts.rule import Rule, Words
from alerts.step import opening, step
from alerts.text import block, fill, line
from alerts.words import compose, headline, plain
from story import policy

GOLDEN = Path(__file__).parent / "golden"
BEGIN = 1795374840.0  # Monday 23 November 2026, 02:14 in Jakarta
NOW = BEGIN + 720

DISK = Rule(
    name="disk_space", metric="jaga_disk_used_ratio", warning=0.8, critical=0.9, sop="1.2 disk",
    summary=Words("Disk {mount} terisi {value}", "Disk {mount} is {value} full"),
    first=Words("Cari yang besar: du -xh {mount} | sort -h | tail",
                "Find what is big: du -xh {mount} | sort -h | tail"),
    lay=Words("Jangan matikan server. Kabari IT: disk {agent} hampir penuh.",
              "Do not switch the server off. Tell IT: the disk of {agent} is nearly full."),
    fix=Words("journalctl --vacuum-size=500M\napt-get clean", "journalctl --vacuum-size=500M\napt-get clean"),
)
SERVICE = Rule(
    name="service_down", metric="jaga_service_active", kind="below", critical=1.0,
    summary=Words("Layanan {unit} mati", "Service {unit} is down"),
    first=Words("systemctl status {unit}", "systemctl status {unit}"),
    lay=Words("Kabari IT.", "Tell IT."),
    fix=Words("systemctl restart {unit} | awk '{print $1}'", "systemctl restart {unit} | awk '{print $1}'"),
)
RESTARTS = Rule(
    name="restarts", metric="jaga_service_restarts_total", kind="increase", warning=2, window=600,
    summary=Words("{unit} mulai ulang {value} kali", "{unit} restarted {value} times"),
    first=Words("journalctl -u {unit}", "journalctl -u {unit}"), lay=Words("Kabari IT.", "Tell IT."),
    fix=Words("Perbaiki.", "Mend it."),
)
FORECAST = Rule(
    name="disk_full_soon", metric="jaga_disk_used_ratio", kind="forecast", warning=86400, window=21600, limit=1.0,
    summary=Words("Disk {mount} penuh dalam {value}", "Disk {mount} full in {value}"),
    first=Words("df -h", "df -h"), lay=Words("Kabari IT.", "Tell IT."), fix=Words("Kosongkan.", "Empty it."),
)
ABSENT = Rule(
    name="silent", metric="jaga_heartbeat", kind="absent", critical=300,
    summary=Words("{agent} diam", "{agent} is silent"),
    first=Words("ping", "ping"), lay=Words("Kabari IT.", "Tell IT."), fix=Words("Nyalakan.", "Switch it on."),
)
RULES = {rule.name: rule for rule in (DISK, SERVICE, RESTARTS, FORECAST, ABSENT)}


def finding(rule="disk_space", severity="critical", value=0.93, threshold=0.9, **more):
    labels = more.pop("labels", (("mount", "/"),))
    given = {"state": "bad", "since": BEGIN, "note": "/var/log 12 GiB\n/var/www 3 GiB", **more}
    return Finding(rule=rule, labels=labels, severity=severity, value=value, threshold=threshold, **given)


def incident(*members, code="K7M", key="", severity="critical", opened=BEGIN, **more):
    members = members or (finding(),)
    return Incident(code=code, key=key or members[0].key, opened=opened, members={m.key: m for m in members},
                    severity=severity, **more)


def note(reason="opened", ordinal=3, about=None, **more):
    about = about or incident()
    given = {"code": about.code, "severity": about.severity or "warning", "contact": "budi", "channel": "email",
             "created": BEGIN + 10, "not_before": BEGIN + 20, "stale_at": BEGIN + 3600, **more}
    return Notification(ordinal=ordinal, reason=reason, incident=about, **given)


def letter(*notifications, language="id", **more):
    given = {"rules": RULES, "to": "budi@toko.id", "name": "Budi", "site": "Toko Sinar", "agent": "srv1",
             "zone": ZoneInfo("Asia/Jakarta"), "now": NOW, **more}
    return compose(notifications, language=language, **given)


GOOD = finding(state="good", severity="", value=0.7, threshold=None, since=0.0)
CLOSED = incident(GOOD, closed=NOW, closed_why="good")
ACKED = incident(acked_by="Sari", acked_until=BEGIN + 7200, acked_severity="critical")
FLAPPING = incident(turns=(BEGIN - 1800, BEGIN - 900, BEGIN), flapping=True)
PASSED_ON = incident(told=(Told("sari", "whatsapp"), Told("sari", "email"), Told("budi", "email")))
SICK = (
    finding(),
    finding("service_down", value=0, threshold=1.0, labels=(("unit", "nginx.service"),), note="", since=BEGIN - 5),
    finding("restarts", "warning", 5, 2, labels=(("unit", "php8.2-fpm.service"),), note=""),
    finding("gone_rule", "warning", 1, None, labels=(("unit", "old"),), note=""),
    finding("disk_space", "warning", 0.85, 0.8, labels=(("mount", "/srv"),), state="unknown"),
)
BASELINE = incident(*SICK, key="baseline")

HEADLINES = [
    ("opened", incident(), "KRITIS: Disk / terisi 93 %", "CRITICAL: Disk / is 93 % full"),
    ("opened", incident(severity="warning"), "Peringatan: Disk / terisi 93 %", "Warning: Disk / is 93 % full"),
    ("worsened", incident(), "MEMBURUK: Disk / terisi 93 %", "WORSE: Disk / is 93 % full"),
    ("escalated", PASSED_ON, "Diteruskan ke Anda: Disk / terisi 93 %", "Passed on to you: Disk / is 93 % full"),
    ("reminded", incident(), "Belum ditangani (12 menit): Disk / terisi 93 %",
     "Still not taken (12 min): Disk / is 93 % full"),
    ("ack_expired", incident(), "Masih ditangani? Disk / terisi 93 %", "Still on it? Disk / is 93 % full"),
    ("acked", ACKED, "Sudah ditangani Sari: Disk / terisi 93 %", "Sari is on it: Disk / is 93 % full"),
    ("unacked", incident(), "Dilepas Sari, belum ada yang menangani: Disk / terisi 93 %",
     "Sari gave it back, nobody is on it: Disk / is 93 % full"),
    ("recurred", incident(), "Kambuh: Disk / terisi 93 %", "Back again: Disk / is 93 % full"),
    ("flapping", FLAPPING, "Naik-turun terus: Disk / terisi 93 %", "Up and down: Disk / is 93 % full"),
    ("resolved", CLOSED, "SELESAI: Disk / terisi 70 % (12 menit)", "RESOLVED: Disk / is 70 % full (12 min)"),
    ("resolved", incident(closed=NOW, closed_why="removed"), "DITUTUP: Disk / terisi 93 % (12 menit)",
     "CLOSED: Disk / is 93 % full (12 min)"),
    ("test", incident(), "Tes: pesan dari Jaga, tidak ada masalah", "Test: a message from Jaga, nothing is wrong"),
    ("opened", BASELINE, "Temuan awal: 5 hal sudah bermasalah sebelum Jaga dipasang",
     "First look: 5 things were wrong before Jaga was installed"),
    ("opened", incident(key="baseline"), "Temuan awal: 1 hal sudah bermasalah sebelum Jaga dipasang",
     "First look: 1 thing was wrong before Jaga was installed"),
    ("joined", BASELINE, "Bertambah: temuan awal, 5 hal", "More of it: first look, 5 things"),
    ("opened", incident(*SICK[:2]), "KRITIS: Layanan nginx.service mati (dan 1 lainnya)",
     "CRITICAL: Service nginx.service is down (and 1 more)"),
    ("opened", incident(SICK[3]), "KRITIS: gone_rule unit=old", "CRITICAL: gone_rule unit=old"),
]


@pytest.mark.parametrize(("reason", "about", "indonesian", "english"), HEADLINES)
def test_every_reason_has_its_headline_in_both_languages(reason, about, indonesian, english):
    said = [letter(note(reason, about=about, who="Sari"), language=language).sections[0].headline
            for language in ("id", "en")]
    assert said == [indonesian, english]


def test_people_are_named_as_they_are_called():
    names = {"budi": "Pak Budi", "sari": "Bu Sari"}
    taken = letter(note("acked", about=incident(acked_by="sari", acked_until=NOW + 7200), who="sari"), names=names)
    assert taken.sections[0].headline.startswith("Sudah ditangani Bu Sari: ")
    told = incident(told=(Told("sari", "email"),))
    assert "Bu Sari" in letter(note("escalated", about=told), names=names).sections[0].detail
    by_hand = incident(GOOD, closed=NOW, closed_why="sari")
    assert "Bu Sari" in letter(note("resolved", about=by_hand), names=names).sections[0].detail
    assert letter(note("acked", about=ACKED, who="root"), names=names).subject.count("root") == 1


BODIES = {
    "opened": [note()],
    "opened_service": [note(about=incident(SICK[1], evidence={SICK[1].key: "Main PID: 812 (code=killed)"}))],
    "escalated": [note("escalated", about=PASSED_ON)],
    "reminded": [note("reminded")],
    "acked": [note("acked", about=ACKED, who="Sari")],
    "flapping": [note("flapping", about=FLAPPING)],
    "resolved": [note("resolved", about=CLOSED)],
    "removed": [note("resolved", about=incident(closed=NOW, closed_why="removed"))],
    "unknown": [note("reminded", about=incident(finding(state="unknown")))],
    "baseline": [note(about=BASELINE)],
    "test": [note("test")],
    "several": [note(about=incident(SICK[2], code="R2T", severity="warning"), ordinal=1), note(),
                note("resolved", about=msgspec.structs.replace(CLOSED, code="P4Q"))],
}


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("name", BODIES)
def test_the_whole_letter_reads_as_the_golden_one(name, language):
    written = letter(*BODIES[name], language=language)
    assert f"{written.subject}\n\n{plain(written)}" == (GOLDEN / f"{name}.{language}.txt").read_text(encoding="utf-8")


def test_the_end_names_what_was_bad_and_what_it_is_now():
    over = finding(value=0.61, state="good", was=0.93)
    section = letter(note("resolved", about=incident(over, closed=NOW, closed_why="good"))).sections[0]
    assert (section.headline, section.detail) == ("SELESAI: Disk / terisi 93 % (12 menit)", "Sekarang: 61 %")
    up = finding("service_down", value=1.0, state="good", labels=(("unit", "nginx"),), was=0.0)
    assert letter(note("resolved", about=incident(up, closed=NOW, closed_why="good"))).sections[0].detail == ""


def test_the_end_counts_from_the_same_moment_as_the_beginning():
    """The rule's `for` kept it from opening for three minutes: people read of the trouble, and not of our patience."""
    begun = opening("K7M", finding(), BEGIN + 180, policy())
    over, _ = step(begun, finding(state="good", since=NOW, value=0.61), NOW, policy())
    assert letter(note("opened", about=begun)).sections[0].since == "Sejak 02.14 WIB (12 menit)"
    assert letter(note("resolved", about=over)).sections[0].since == "Dari 02.14 WIB sampai 02.26 WIB (12 menit)"
    assert headline(over, RULES, "id") == "SELESAI: Disk / terisi 93 % (12 menit)"
    old = msgspec.structs.replace(over, began=None)  # a record from before it was kept
    assert old.since == BEGIN + 180


def test_opened_and_resolved_within_one_letter_are_one_section_with_both_times():
    written = letter(note(ordinal=1), note("resolved", ordinal=2, about=CLOSED))
    assert [(s.reason, s.mark, s.since) for s in written.sections] == [
        ("resolved", "K7M-2", "Dari 02.14 WIB sampai 02.26 WIB (12 menit)")]


@pytest.mark.parametrize(("reasons", "said"), [
    (["opened", "worsened"], "opened"), (["opened", "reminded"], "opened"), (["opened", "joined"], "opened"),
    (["opened", "acked"], "acked"), (["opened", "escalated"], "escalated"), (["reminded", "worsened"], "worsened"),
    (["resolved", "recurred"], "recurred"), (["recurred", "resolved"], "resolved"),
])
def test_a_batch_about_one_incident_says_the_last_state_and_news_before_progress(reasons, said):
    notes = [note(reason, ordinal, about=CLOSED if reason == "resolved" else None)
             for ordinal, reason in enumerate(reasons, 1)]
    written = letter(*reversed(notes))
    assert [(s.reason, s.mark) for s in written.sections] == [(said, f"K7M-{len(reasons)}")]


@pytest.mark.parametrize(("notes", "subject"), [
    ([note()], "[Jaga KRITIS] K7M Disk / terisi 93 %"),
    ([note("worsened")], "[Jaga KRITIS] K7M MEMBURUK: Disk / terisi 93 %"),
    ([note(about=incident(severity="warning"))], "[Jaga PERINGATAN] K7M Disk / terisi 93 %"),
    ([note("resolved", about=CLOSED)], "[Jaga SELESAI] K7M Disk / terisi 70 % (12 menit)"),
    ([note("resolved", about=incident(closed=NOW, closed_why="removed"))],
     "[Jaga DITUTUP] K7M Disk / terisi 93 % (12 menit)"),
    ([note("test")], "[Jaga TES] K7M pesan dari Jaga, tidak ada masalah"),
    ([note(), note(about=incident(code="P4Q", opened=BEGIN + 5)), note(about=incident(code="R2T", severity="warning"))],
     "[Jaga KRITIS] 3 masalah: K7M, P4Q, R2T"),
    ([note("resolved", about=CLOSED), note(about=incident(code="P4Q", severity="warning"))],
     "[Jaga PERINGATAN] 1 masalah: P4Q; selesai: K7M"),
    ([note("resolved", about=CLOSED), note("resolved", about=msgspec.structs.replace(CLOSED, code="P4Q"))],
     "[Jaga SELESAI] 2 masalah selesai: K7M, P4Q"),
    ([note(about=incident(code=f"A{n}B")) for n in range(8)],
     "[Jaga KRITIS] 8 masalah: A0B, A1B, A2B, A3B, A4B, A5B dan 2 lainnya"),
])
def test_the_subject_stands_alone(notes, subject):
    assert letter(*notes).subject == subject


@pytest.mark.parametrize(("reason", "settings", "answer"), [
    ("opened", {"two_way": True}, 'Balas "ok K7M" bila Anda tangani.'),
    ("acked", {"two_way": True}, 'Balas "ok K7M" untuk mengambil alih.'),
    ("opened", {}, "Bila Anda tangani, jalankan: jaga ack K7M"),
    ("opened", {"technician": False}, "Bila Anda tangani, kabari IT dan sebut kode K7M."),
    ("opened", {"public_url": "https://jaga.toko.id/"},
     "Bila Anda tangani, jalankan: jaga ack K7M · Lihat: https://jaga.toko.id/incidents/K7M"),
    ("opened", {"links": {"K7M": "https://jaga.toko.id/a/x"}}, "Bila Anda tangani, buka: https://jaga.toko.id/a/x"),
    ("opened", {"two_way": True, "language": "en"}, 'Reply "ok K7M" if you take it.'),
    ("test", {"two_way": True}, 'Balas "ok K7M" bila Anda tangani.'),
    ("acked", {}, "Untuk mengambil alih, jalankan: jaga ack K7M"),
    ("test", {}, ""),
    ("resolved", {"two_way": True}, ""),
])
def test_how_to_answer_fits_what_the_reader_can_do(reason, settings, answer):
    assert letter(note(reason), **settings).sections[0].answer == answer


@pytest.mark.parametrize("reason", [
    "opened", "worsened", "joined", "escalated", "reminded", "ack_expired", "acked", "unacked", "recurred", "flapping"])
def test_whatever_is_open_says_its_mark_and_how_to_take_it(reason):
    text = plain(letter(note(reason)))
    assert "K7M-3" in text
    assert "jaga ack K7M" in text


def test_a_person_without_a_terminal_gets_the_first_step_that_needs_none():
    section = letter(note(), technician=False).sections[0]
    assert section.first == "Jangan matikan server. Kabari IT: disk srv1 hampir penuh."


@pytest.mark.parametrize(("member", "detail"), [
    (finding(note=""), "93 %, batas 90 %\nSOP 1.2 disk"),
    (finding(note="", threshold=None), "93 %\nSOP 1.2 disk"),
    (finding("service_down", value=3.0, threshold=0.0, labels=(), note=""), "3"),
    (finding(note="", threshold=0.0), "SOP 1.2 disk"),  # the summary says 93 % already
    (SICK[1], ""),
    (SICK[2], "naik 5 dalam 10 menit, batas 2"),
    (finding("disk_full_soon", "warning", 10800.0, 86400.0, note=""), "sekitar 3 jam lagi, batas 1 hari"),
    (finding("silent", value=725.0, threshold=300.0, labels=(), note=""),
     "tanpa kabar 12 menit 5 detik, batas 5 menit"),
    (SICK[3], ""),
])
def test_value_and_limit_are_told_where_they_tell_something(member, detail):
    assert letter(note(about=incident(member))).sections[0].detail == detail


def test_a_long_list_shows_the_worst_twelve_and_says_how_many_more():
    members = [finding(labels=(("mount", f"/{n:02}"),), severity="critical" if n == 16 else "warning", threshold=0.8)
               for n in range(17)]
    lines = letter(note(about=incident(*members, key="baseline"))).sections[0].detail.split("\n")
    assert [lines[0], lines[1], len(lines), lines[-1]] == [
        "- KRITIS: Disk /16 terisi 93 % (batas 80 %)", "- PERINGATAN: Disk /00 terisi 93 % (batas 80 %)", 13,
        "dan 5 lainnya"]


def test_what_is_good_again_is_not_listed_among_the_problems():
    about = incident(*SICK[:3], msgspec.structs.replace(SICK[4], state="good"), key="baseline")
    said = letter(note("reminded", about=about)).sections[0].headline
    assert said == "Belum ditangani (12 menit): temuan awal, 3 hal"


def test_the_letter_carries_its_frame():
    milder = note(about=incident(code="P4Q", severity="warning"), ordinal=1, created=BEGIN)
    written = letter(milder, note(stale_at=NOW * 2), window_open=True, stale=2, from_memory=True)
    assert (written.mark, written.to, written.name, written.severity, written.created, written.stale_at,
            written.window_open, written.from_memory) == (
        "K7M-3", "budi@toko.id", "Budi", "critical", BEGIN, NOW * 2, True, True)
    assert written.footer == ("Toko Sinar · srv1 · 2 pesan basi tidak terkirim · "
                              "dikirim dari memori: penyimpanan penuh atau rusak")


@pytest.mark.parametrize(("notes", "settings", "footer"), [
    ([note()], {"site": "srv1"}, "srv1"),
    ([note()], {"stale": 1, "language": "en"}, "Toko Sinar · srv1 · 1 stale message was not sent"),
    ([note(stands_in_for="K7M-2")], {}, "Toko Sinar · srv1 · pengganti K7M-2 yang tidak sampai"),
])
def test_the_footer_names_the_place_and_what_went_astray(notes, settings, footer):
    assert letter(*notes, **settings).footer == footer


def test_the_mark_of_a_letter_does_not_depend_on_when_it_is_written():
    notes = [note(about=incident(code=code)) for code in ("R2T", "K7M", "P4Q")]
    assert letter(*notes).mark == letter(*reversed(notes), now=NOW + 9999, language="en").mark == "K7M-3"


HOSTILE = "/mnt/\x1b[31mx\x1b[0m\r\nBcc: a@b\u202e{agent}\x00{value}\udcff"


def test_labels_and_notes_cannot_bring_control_characters_or_placeholders_along():
    about = incident(finding(labels=(("mount", HOSTILE),), note="satu\r\ndua\x1b[2J\x07\ttiga\n\n\nempat\u2028lima"))
    section = letter(note(about=about), name="Bu\ndi").sections[0]
    assert section.headline == "KRITIS: Disk /mnt/x Bcc: a@b{agent}{value} terisi 93 %"
    assert section.detail == "93 %, batas 90 %\nsatu\ndua    tiga\nempatlima\nSOP 1.2 disk"


def test_a_label_in_a_command_is_quoted_for_the_shell():
    section = letter(note(about=incident(finding(labels=(("mount", "/srv; rm -rf ~"),))))).sections[0]
    assert section.first == "Cari yang besar: du -xh '/srv; rm -rf ~' | sort -h | tail"
    assert section.headline == "KRITIS: Disk /srv; rm -rf ~ terisi 93 %"


def test_a_fix_of_several_lines_becomes_one_that_can_be_pasted():
    assert letter(note()).sections[0].fix == "journalctl --vacuum-size=500M; apt-get clean"
    assert letter(note(about=incident(SICK[1]))).sections[0].fix == "systemctl restart nginx.service | awk '{print $1}'"


@pytest.mark.parametrize(("template", "text"), [
    ("{a} {b}", "1 {b}"), ("{a", "{a"), ("a}", "a}"), ("{}", "{}"), ("{{a}}", "{1}"),
    ("{a.__class__}", "{a.__class__}"),
    ("{a!r:>99999999}", "{a!r:>99999999}"), ("{0}", "{0}"), ("${a}", "$1"),
])
def test_a_stray_brace_stays_and_a_missing_placeholder_never_raises(template, text):
    assert fill(template, {"a": "1"}) == text


@given(st.text(), st.text(), st.text())
def test_any_text_from_outside_becomes_a_letter_on_single_lines(label, remark, summary):
    rule = msgspec.structs.replace(DISK, summary=Words(summary, summary), fix=Words(summary, summary))
    about = incident(finding(labels=(("mount", label),), note=remark))
    written = letter(note(about=about), rules={"disk_space": rule}, site=label, agent=remark, name=label)
    section = written.sections[0]
    single = [written.subject, written.name, written.footer, section.headline, section.since, section.first,
              section.fix, section.answer]
    assert [text for text in single if len(text.splitlines()) > 1] == []
    assert {unicodedata.category(char) for text in single for char in text}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    assert plain(written).encode("utf-8")


@pytest.mark.parametrize(("about", "indonesian", "english"), [
    (incident(), "KRITIS: Disk / terisi 93 %", "CRITICAL: Disk / is 93 % full"),
    (CLOSED, "SELESAI: Disk / terisi 70 % (12 menit)", "RESOLVED: Disk / is 70 % full (12 min)"),
    (incident(finding("silent", labels=())), "KRITIS: srv1 diam", "CRITICAL: srv1 is silent"),
    (Incident(code="K7M", key="x{}", opened=BEGIN, members={}, severity=""), "Peringatan: x{}", "Warning: x{}"),
])
def test_a_list_shows_an_incident_in_one_line(about, indonesian, english):
    assert [headline(about, RULES, language, agent="srv1") for language in ("id", "en")] == [indonesian, english]


def test_a_label_goes_before_the_agents_own_name():
    about = incident(finding("silent", labels=(("agent", "kasir-2"),)))
    assert letter(note(about=about)).sections[0].headline == "KRITIS: kasir-2 diam"


def test_both_languages_fill_the_same_placeholders():
    def places(value):
        match value:
            case dict():
                return {key: places(each) for key, each in value.items()}
            case tuple():
                return [places(each) for each in value]
            case _:
                return sorted(word for word in ("about", "elapsed", "who", "count", "codes", "open", "begin", "end",
                                                "value", "threshold", "window", "code", "link", "lead", "mark", "name")
                              if "{" + word + "}" in value)
    assert places(msgspec.structs.asdict(ID)) == places(msgspec.structs.asdict(EN))


def test_a_block_keeps_lines_and_a_line_keeps_none():
    assert (block("a\r\nb\rc\n\n d\x9b "), line(" a\r\nb\t c\x7f")) == ("a\nb\nc\n d", "a b c")
