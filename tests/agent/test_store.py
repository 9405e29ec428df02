"""The store's promises: whole changes, sound files, and nothing kept longer than it should be."""

import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from math import inf
from pathlib import Path

import msgspec
import pytest

from agent.store import SCHEMA, Store
from alerts.incident import Finding, Incident, Told
from alerts.judgement import Trace
from alerts.ledger import Changes, Entry, StoreError
from alerts.notification import Notification

NOW = 1_767_582_000.0


def incident(code: str = "A3B", closed: float | None = None, opened: float = NOW) -> Incident:
    finding = Finding(rule="down", labels=(("unit", "nginx"),), state="bad", severity="critical", since=opened)
    return Incident(code=code, key=finding.key, opened=opened, members={finding.key: finding}, severity="critical",
                    closed=closed, told=(Told("budi", "chat"),))


def word(code: str = "A3B", ordinal: int = 1, contact: str = "budi", created: float = NOW) -> Notification:
    return Notification(code=code, ordinal=ordinal, reason="opened", severity="critical", contact=contact,
                        channel="chat", created=created, not_before=created, stale_at=created + 60,
                        incident=incident(code))


def test_everything_of_a_change_comes_back(tmp_path: Path) -> None:
    trace = Trace(rule="down", labels=(("unit", "nginx"),), collector="services", level="critical",
                  pending={"critical": NOW}, samples=((NOW, 1.0),))
    with_all = Changes(incidents={"A3B": incident()}, traces={trace.key: trace}, meta={"k": "v"},
                       history=[Entry(code="A3B", at=NOW, what="opened")], notifications=[word()],
                       memories={"disk": {"offset": 7}})
    Store(tmp_path / "jaga.db").commit(with_all)
    store = Store(tmp_path / "jaga.db")
    past = store.remembered(NOW)
    assert (past.incidents, past.codes, past.traces, past.meta) == (
        (incident(),), frozenset({"A3B"}), {trace.key: trace}, {"k": "v"})
    assert store.open_batch("chat", NOW, 10) == [word()]
    assert store.memory_of("disk") == {"offset": 7}
    assert store.memory_of("other") == {}
    assert store.history("A3B") == [Entry(code="A3B", at=NOW, what="opened")]


def test_never_is_a_number_that_comes_back(tmp_path: Path) -> None:
    never = Finding(rule="disk_full_soon", labels=(("mount", "/"),), state="good", value=inf)
    over = Incident(code="A3B", key=never.key, opened=NOW, members={never.key: never}, severity="warning", closed=NOW)
    told = msgspec.structs.replace(word(), incident=over)
    trace = Trace(rule="disk_full_soon", labels=never.labels, collector="disk", samples=((NOW, -inf),), value=inf)
    Store(tmp_path / "jaga.db").commit(Changes(
        incidents={"A3B": over}, notifications=[told], traces={trace.key: trace}, memories={"disk": {"until": inf}}))
    store = Store(tmp_path / "jaga.db")
    past = store.remembered(NOW)
    assert (past.incidents, past.traces) == ((over,), {trace.key: trace})
    assert store.open_batch("chat", NOW, 10) == [told]
    assert store.memory_of("disk") == {"until": inf}


def test_a_change_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "jaga.db")
    with pytest.raises(StoreError, match=r"jaga\.db: commit: UNIQUE"):
        store.commit(Changes(incidents={"A3B": incident()}, notifications=[word(), word()]))
    assert store.remembered(NOW).incidents == ()


def test_a_commit_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from agent.store import Store; from alerts.ledger import Changes\n"
        "Store(Path(sys.argv[1])).commit(Changes(meta={'told': 'yes'})); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "jaga.db")], check=False, timeout=30)
    assert ended.returncode == -9
    assert Store(tmp_path / "jaga.db").remembered(NOW).meta == {"told": "yes"}


@pytest.mark.parametrize("content", [b"this is a letter" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_corrupt_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jaga.db"
    path.write_bytes(content)
    store = Store(path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == content
    store.commit(Changes(meta={"new": "1"}))
    assert Store(path).set_aside is None


def test_a_page_gone_bad_in_the_middle_is_noticed_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "jaga.db"
    store = Store(path)
    for number in range(300):
        store.commit(Changes(memories={f"c{number}": {"text": "x" * 300}}))
    store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xaa" * 12288)
    assert Store(path).set_aside is not None


@pytest.mark.parametrize("body", [b"no json", b"{}", b'{"code": 7}'])
def test_a_spoilt_row_does_not_keep_the_watch_from_starting(tmp_path: Path, body: bytes) -> None:
    store = Store(tmp_path / "jaga.db")
    store.commit(Changes(incidents={"A3B": incident(), "C4D": incident("C4D")}))
    store._db.execute("UPDATE incidents SET body = ? WHERE code = 'A3B'", (body,))
    assert [i.code for i in store.remembered(NOW).incidents] == ["C4D"]
    assert store.remembered(NOW).codes == {"A3B", "C4D"}


def test_a_file_from_a_newer_version_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "jaga.db"
    Store(path).close()
    sqlite3.connect(path).execute(f"PRAGMA user_version = {len(SCHEMA) + 1}").connection.close()
    with pytest.raises(StoreError, match="written by a newer Jaga"):
        Store(path)


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "jaga.db").mkdir()
    with pytest.raises(StoreError, match=r"jaga\.db: unable to open"):
        Store(tmp_path / "jaga.db")


def test_the_file_is_for_its_user_alone(tmp_path: Path) -> None:
    Store(tmp_path / "state" / "jaga.db")
    assert oct((tmp_path / "state" / "jaga.db").stat().st_mode)[-3:] == "600"


def test_the_ballast_is_given_up_first_when_the_disk_is_full(tmp_path: Path) -> None:
    """SQLite's own page limit stands in for the disk's end: the same error reaches the same code."""
    store = Store(tmp_path / "jaga.db", ballast=1 << 16)
    assert (tmp_path / "ballast").stat().st_size == 1 << 16
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        store.commit(Changes(memories={"a": {"text": "x" * 100_000}}))
    assert not store.has_ballast
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.commit(Changes(memories={"a": {"text": "x" * 100_000}}))
    store.refill_ballast()
    assert store.has_ballast


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk_spends_the_ballast_and_commits(tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount], check=False,
                      capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a tmpfs")
    try:
        store = Store(mount / "jaga.db", ballast=1 << 19)
        with (mount / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        assert os.statvfs(mount).f_bavail == 0
        store.commit(Changes(memories={"a": {"text": "x" * 100_000}}))
        assert not store.has_ballast
        store.close()
        assert Store(mount / "jaga.db", ballast=0).memory_of("a") == {"text": "x" * 100_000}
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_a_shift_of_the_clock_moves_what_waits_and_no_history(tmp_path: Path) -> None:
    store = Store(tmp_path / "jaga.db")
    store.commit(Changes(incidents={"A3B": incident()}, notifications=[word()],
                         history=[Entry(code="A3B", at=NOW, what="opened")]))
    moved = incident(opened=NOW + 3600)
    store.commit(Changes(shift=3600.0, incidents={"A3B": moved}))
    assert store.next_ripe("chat") == NOW + 3600
    assert [i.opened for i in store.all_incidents()] == [NOW + 3600]
    assert store.history("A3B")[0].at == NOW


def test_codes_are_not_reused_for_eight_weeks(tmp_path: Path) -> None:
    store = Store(tmp_path / "jaga.db")
    store.commit(Changes(incidents={"A3B": incident("A3B", closed=NOW - 55 * 86400),
                                    "C4D": incident("C4D", closed=NOW - 57 * 86400)}))
    assert store.remembered(NOW).codes == {"A3B"}


def test_old_texts_go_before_old_incidents_and_open_ones_stay(tmp_path: Path) -> None:
    store = Store(tmp_path / "jaga.db")
    day = 86400.0
    store.commit(Changes(
        incidents={"A3B": incident("A3B", closed=NOW - 500 * day, opened=NOW - 501 * day),
                   "C4D": incident("C4D", closed=NOW - 100 * day, opened=NOW - 101 * day),
                   "E6F": incident("E6F", opened=NOW - 500 * day)},
        history=[Entry(code=code, at=NOW - 500 * day, what="opened") for code in ("A3B", "C4D", "E6F")],
        notifications=[word("A3B", created=NOW - 500 * day), word("E6F", created=NOW)], spoken={"A3B-1"}))
    store.prune(NOW, messages=90 * day, incidents=400 * day)
    assert [i.code for i in store.all_incidents()] == ["E6F", "C4D"]
    assert store.history("A3B") == []
    assert len(store.history("E6F")) == 1
    assert store._read("SELECT code FROM notifications") == [("E6F",)]


def test_a_person_is_erased_from_messages_history_and_incidents(tmp_path: Path) -> None:
    store = Store(tmp_path / "jaga.db")
    store.commit(Changes(incidents={"A3B": incident()}, notifications=[word(), word(ordinal=2, contact="sari")],
                         history=[Entry(code="A3B", at=NOW, what="acked", who="budi")]))
    cleaned = msgspec.structs.replace(incident(), told=())
    assert store.forget("budi", ["budi"], [cleaned]) == 3
    assert store._read("SELECT contact FROM notifications") == [("sari",)]
    assert store.history("A3B")[0].who == "-"
    assert b"budi" not in b"".join(body for (body,) in store._read("SELECT body FROM incidents"))
