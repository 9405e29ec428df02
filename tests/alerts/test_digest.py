"""The morning digest says what is known and no more; one look long, in both languages."""

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

import alerts
from agent import routine
from alerts.digest import Digest, Measured, Row, Signature, build, meant, rows, to_sign
from alerts.incident import Finding, Incident
from alerts.notification import Notification
from alerts.rule import Words
from alerts.step import BASELINE
from alerts.vocabulary import vocabulary
from alerts.words import compose, plain
from story import MONDAY, rule

DISK = Row(id="disk", sop="1.2 disk", title=Words("Disk", "Disk"), rules=("disk_*",), metrics=("jaga_disk_*",))
LOAD = Row(id="load", sop="1.1 load", title=Words("Beban", "Load"), rules=("cpu_*",), metrics=("jaga_cpu_*",))
WEB = Row(id="web", sop="1.1 web", title=Words("Website", "Website"), rules=("web_*",), metrics=("jaga_web_*",))
PRINT = Row(id="print", sop="1.1 printer", title=Words("Tes cetak", "Test print"), kind="sign",
            says=("printer", "cetak"))
SCAN = Row(id="scan", sop="1.1 scanner", title=Words("Tes scan", "Test scan"), kind="sign", says=("scanner",))
ROWS = (WEB, LOAD, DISK, PRINT, SCAN)
RULES = {name: rule(name, metric="x", summary=Words(said + " {value}", said + " {value}"), kind="above")
         for name, said in (("disk_space", "Disk terisi"), ("cpu_busy", "Prosesor sibuk"), ("odd", "Aneh"))}


def measured(name: str = "disk", **fields: object) -> Measured:
    metric = f"jaga_{name}_x"
    base = {"name": name, "declares": frozenset({metric}), "yielded": frozenset({metric}), "at": MONDAY - 30}
    return Measured(**(base | fields))  # type: ignore[arg-type]


def finding(name: str = "disk_space", **fields: object) -> Finding:
    base = {"rule": name, "labels": (), "state": "bad", "severity": "warning", "value": 3.0, "since": MONDAY - 600}
    return Finding(**(base | fields))  # type: ignore[arg-type]


def incident(*members: Finding, code: str = "K7M", **fields: object) -> Incident:
    found = members or (finding(),)
    base = {"code": code, "key": found[0].key, "opened": MONDAY - 600, "severity": "warning",
            "members": {member.key: member for member in found}}
    return Incident(**(base | fields))  # type: ignore[arg-type]


def made(measures: list[Measured], incidents: list[Incident] | None = None, over: list[Incident] | None = None,
         signatures: dict[str, Signature] | None = None, **fields: object) -> Digest:
    return build(ROWS, measures, incidents or [], over or [], signatures or {}, at=MONDAY, now=MONDAY,
                 **fields)  # type: ignore[arg-type]


def said(digest: Digest, language: str = "id", two_way: bool = True) -> str:
    blank = Incident(code="JAGA", key="digest", opened=MONDAY, members={}, severity="warning")
    spoken = Notification(code="JAGA", ordinal=7, reason="digest", severity="warning", contact="budi", channel="chat",
                          created=MONDAY, not_before=MONDAY, stale_at=MONDAY + 60, incident=blank, digest=digest)
    letter = compose([spoken], rules=RULES, to="x", name="Budi", language=language, site="Koperasi", agent="server",
                     zone=ZoneInfo("Asia/Jakarta"), now=MONDAY, two_way=two_way)
    return f"{letter.subject}\n{plain(letter)}"


@pytest.mark.parametrize(("measures", "mark", "why"), [
    ([measured()], "good", ""),
    ([], "unwatched", ""),
    ([measured("cpu")], "unwatched", ""),
    ([measured(at=None)], "unknown", "never"),
    ([measured(at=MONDAY - 601)], "unknown", "old"),
    ([measured(at=MONDAY - 601, lasts=7300.0)], "good", ""),
    ([measured(whole=False)], "unknown", "failed"),
    ([measured(yielded=frozenset({"jaga_collector_success"}))], "unknown", "never"),
    ([measured(), measured("usb", declares=frozenset({"jaga_disk_usb"}), whole=False)], "unknown", "failed"),
])
def test_a_row_is_good_only_by_fresh_and_whole_readings(measures: list[Measured], mark: str, why: str) -> None:
    row = next(row for row in made(measures).rows if row.id == "disk")
    assert (row.mark, row.why) == (mark, why)


def test_a_row_is_bad_while_an_incident_of_its_rules_is_open_whatever_was_measured() -> None:
    for measures in ([], [measured()], [measured(at=None)]):
        row = next(row for row in made(measures, [incident()]).rows if row.id == "disk")
        assert (row.mark, [each.code for each in row.about]) == ("bad", ["K7M"])


def test_what_was_bad_and_is_silent_now_is_unknown() -> None:
    row = next(row for row in made([measured()], [incident(finding(state="unknown"))]).rows if row.id == "disk")
    assert (row.mark, row.why) == ("unknown", "silent")


def test_an_incident_of_several_things_stands_in_each_row_with_its_own_part() -> None:
    both = incident(finding(), finding("cpu_busy"), finding("disk_inodes", state="good"), key=BASELINE)
    digest = made([measured(), measured("cpu")], [both])
    assert {row.id: [m.rule for part in row.about for m in part.members.values()] for row in digest.rows} == {
        "web": [], "load": ["cpu_busy"], "disk": ["disk_space"]}
    assert digest.open == ()


def test_a_row_says_who_has_its_incident_and_that_nobody_was_told() -> None:
    taken = incident(acked_by="Budi", acked_until=MONDAY + 60)
    assert "✗ Disk: bermasalah. Disk terisi 3 (K7M, ditangani Budi)" in said(made([], [taken]))
    assert "✗ Disk: bermasalah. Disk terisi 3 (K7M, ditahan)" in said(made([], [incident(held_by="probation")]))


def test_what_no_row_shows_is_listed_apart_held_or_open() -> None:
    odd = incident(finding("odd"), code="A3B")
    held = incident(finding("odd"), code="C4D", held_by="quiet")
    hushed = incident(finding("odd"), code="E6F", held_by="silence:1")
    gone = incident(finding("odd", state="good"), code="G7H", closed=MONDAY - 60)
    digest = made([measured()], [odd, held, hushed, incident()], [gone])
    assert ([i.code for i in digest.open], [i.code for i in digest.held]) == (["A3B", "E6F"], ["C4D", "G7H"])


def test_one_look_long_in_indonesian() -> None:
    signed = {"scan": Signature(day="2026-01-05", row="scan", who="Sari", how="chat", at=MONDAY - 900)}
    digest = made([measured(), measured("cpu", at=None)], [incident(), incident(finding("odd"), code="A3B")],
                  signatures=signed)
    assert said(digest) == """\
[Jaga] 0 dari 2 baik; Disk terisi 3; Beban tidak diketahui
0 dari 2 baik; Disk terisi 3; Beban tidak diketahui
Pemeriksaan pagi, 10.00 WIB
Setelah dicoba, balas: printer ok

? Beban: tidak diketahui. Belum ada data.
✗ Disk: bermasalah. Disk terisi 3 (K7M)
Masih terbuka:
- A3B Aneh 3
✓ Tes scan: Sari, 09.45 WIB
Perlu ditandatangani: Tes cetak
Tidak dipantau: Website

Kode JAGA-7

Koperasi · server
"""


def test_one_look_long_in_english_and_late() -> None:
    assert said(made([measured(), measured("cpu"), measured("web")], late=True), "en") == """\
[Jaga] 3 of 3 good
3 of 3 good
Morning check 10:00 WIB, late: Jaga was not running then
When tried, reply: printer ok · scanner ok

✓ Website: good
✓ Load: good
✓ Disk: good
To be signed: Test print, Test scan

Code JAGA-7

Koperasi · server
"""


def test_a_channel_that_takes_no_answers_asks_for_none() -> None:
    assert "balas" not in said(made([measured()]), two_way=False)


def test_the_first_line_names_two_problems_and_counts_the_rest() -> None:
    all_bad = [incident(finding("disk_space")), incident(finding("cpu_busy"), code="A3B")]
    first = said(made([measured("web", at=None)], all_bad)).splitlines()[1]
    assert first == "0 dari 3 baik; Prosesor sibuk 3; Disk terisi 3; dan 1 lainnya"


def test_a_digest_beside_an_incident_leaves_the_subject_to_it() -> None:
    blank = Incident(code="JAGA", key="digest", opened=MONDAY, members={}, severity="warning")
    common = {"severity": "warning", "contact": "budi", "channel": "chat", "created": MONDAY, "not_before": MONDAY,
              "stale_at": MONDAY + 60}
    letter = compose(
        [Notification(code="JAGA", ordinal=7, reason="digest", incident=blank, digest=made([measured()]), **common),
         Notification(code="K7M", ordinal=1, reason="opened", incident=incident(), **common)],  # type: ignore[arg-type]
        rules=RULES, to="x", name="Budi", language="id", site="Koperasi", agent="server", zone=ZoneInfo("Asia/Jakarta"),
        now=MONDAY)
    assert letter.subject == "[Jaga PERINGATAN] K7M Disk terisi 3"
    assert [section.reason for section in letter.sections] == ["opened", "digest"]


@pytest.mark.parametrize(("word", "row"), [
    ("printer", PRINT), ("Cetak", PRINT), ("1", PRINT), ("2", SCAN), ("scan", SCAN), ("3", None), ("0", None),
    ("disk", None), ("", None), ("²", None),
])
def test_a_row_is_named_by_its_words_or_its_number(word: str, row: Row | None) -> None:
    assert meant(word, ROWS) == row


def test_a_signature_is_of_its_own_row() -> None:
    signed = {"scan": Signature(day="2026-01-05", row="scan", who="sari", how="chat", at=1.0)}
    assert [(each.id, each.word, each.signature) for each in to_sign(ROWS, signed)] == [
        ("print", "printer", None), ("scan", "scanner", signed["scan"])]


A_ROW = '[[row]]\nid = "a"\nsop = "1"\ntitle = { id = "a", en = "a" }\n'


@pytest.mark.parametrize("text", ["", "[[row]]\nid = 1", A_ROW + "x = 1", A_ROW + 'fresh = "soon"'])
def test_a_list_with_a_mistake_is_none(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        rows(text)


def test_no_two_rows_have_one_id() -> None:
    with pytest.raises(ValueError, match="two rows have the id a"):
        rows(A_ROW + A_ROW)


def test_the_shipped_list_holds_every_daily_row_of_the_sop_and_every_word_is_understood() -> None:
    shipped = routine.checklist()
    daily = {"1.1 web", "1.1 load", "1.1 log", "1.1 queue", "1.1 printer", "1.1 scanner", "1.1 quota"}
    assert daily <= {row.sop for row in shipped}
    known = vocabulary()
    for row in shipped:
        assert bool(row.says) == (row.kind == "sign"), row.id
        assert all(known.read(word.split())[0].kind == "row" for word in row.says), row.id
    words = [word for row in shipped for word in row.says]
    assert len(words) == len(set(words))


def test_every_shipped_rule_that_names_a_row_of_the_daily_list_is_found_by_it() -> None:
    import tomllib
    from fnmatch import fnmatchcase

    shipped = {row.sop: row for row in routine.checklist() if row.kind == "auto"}
    for file in (Path(alerts.__path__[0]) / "rules").glob("*.toml"):
        for name, table in tomllib.loads(file.read_text()).items():
            row = shipped.get(table.get("sop", ""))
            if row is not None:
                assert any(fnmatchcase(name, pattern) for pattern in row.rules), (name, row.id)


def test_a_digest_comes_back_from_the_store_as_it_went_in() -> None:
    digest = made([measured()], [incident()])
    assert msgspec.json.decode(msgspec.json.encode(digest), type=Digest) == digest
