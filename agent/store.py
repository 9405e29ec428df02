"""Durable memory in one SQLite file: one connection, one lock, one transaction per change (promise 5)."""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agent.logs import get_logger
from alerts.budget import Sent
from alerts.codes import REUSE_AFTER
from alerts.digest import Signature
from alerts.incident import Incident
from alerts.judgement import Trace
from alerts.ledger import Changes, Entry, Message, Remembered, StoreError
from alerts.notification import Notification, Proof
from alerts.silence import Silence

SCHEMA = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE incidents (
      code TEXT NOT NULL, opened REAL NOT NULL, closed REAL, severity TEXT NOT NULL, key TEXT NOT NULL,
      body BLOB NOT NULL, PRIMARY KEY (code, opened));
    CREATE INDEX incidents_closed ON incidents (closed);
    CREATE TABLE history (
      id INTEGER PRIMARY KEY, code TEXT NOT NULL, at REAL NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL,
      how TEXT NOT NULL, detail TEXT NOT NULL);
    CREATE INDEX history_code ON history (code, at);
    CREATE TABLE notifications (
      id INTEGER PRIMARY KEY, code TEXT NOT NULL, ordinal INTEGER NOT NULL, contact TEXT NOT NULL,
      channel TEXT NOT NULL, created REAL NOT NULL, not_before REAL NOT NULL, stale_at REAL NOT NULL,
      severity TEXT NOT NULL, state TEXT NOT NULL, passed_on INTEGER NOT NULL DEFAULT 0, message INTEGER,
      body BLOB NOT NULL, UNIQUE (code, ordinal, created));
    CREATE INDEX notifications_queued ON notifications (channel, not_before) WHERE state = 'queued';
    CREATE INDEX notifications_message ON notifications (message);
    CREATE TABLE messages (
      id INTEGER PRIMARY KEY, mark TEXT NOT NULL, channel TEXT NOT NULL, contact TEXT NOT NULL, state TEXT NOT NULL,
      claimed REAL NOT NULL, accepted_at REAL, proof INTEGER, provider_id TEXT NOT NULL, body BLOB NOT NULL);
    CREATE INDEX messages_live ON messages (channel) WHERE state IN ('sending', 'uncertain', 'accepted');
    CREATE INDEX messages_provider ON messages (provider_id);
    CREATE TABLE silences (id TEXT PRIMARY KEY, ends REAL NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE heard (
      channel TEXT NOT NULL, id TEXT NOT NULL, contact TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (channel, id));
    CREATE INDEX heard_contact ON heard (contact, channel, at);
    CREATE TABLE signatures (
      day TEXT NOT NULL, row TEXT NOT NULL, who TEXT NOT NULL, how TEXT NOT NULL, at REAL NOT NULL,
      PRIMARY KEY (day, row)) WITHOUT ROWID;
    CREATE TABLE traces (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE memories (collector TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE INDEX notifications_held ON notifications (channel, not_before) WHERE state = 'held';
    CREATE INDEX messages_claimed ON messages (claimed);
    """,
    # How far the wall clock was set since it was created, which stays as it was: it is part of a notification's name.
    "ALTER TABLE notifications ADD COLUMN moved REAL NOT NULL DEFAULT 0",
)

# Two threads that are the first to read the same Struct crash the process (msgspec 0.22 shows one of them the type half
# built); a decoder made here, while only one thread imports, has its type built for good.
DECODERS = [msgspec.json.Decoder(kind) for kind in (Incident, Message, Notification, Silence, Trace)]

log = get_logger(__name__)

T = TypeVar("T")
BUSY_SECONDS = 5.0  # only a person's own sqlite3 shell can hold the file: the daemon is its one writer
PENT_UP = 1000  # words to one person that are looked at together: a night without a line, with all its reminders
RECUR_WITHIN = 86400.0  # closed incidents kept at hand, far longer than any flapping window


class Store:
    """The ledger on disk. `ballast` is a file of that many bytes that is given up when the disk is full (promise 15).

    Every method raises StoreError, with the path in it, when SQLite cannot do it.
    """

    def __init__(self, path: Path, *, ballast: int = 4 << 20, process: str = "") -> None:
        self.path, self._ballast = path, path.with_name("ballast")
        self.process = process or f"{os.getpid()}-{time.time_ns()}"
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.set_aside = self._open(path)
        self.migrate()
        self._ballast_bytes = ballast
        self.refill_ballast()

    # --- opening -------------------------------------------------------------------------------------------------

    def _open(self, path: Path) -> Path | None:
        """Connect. A file that is no sound database is moved aside, with its name returned, and a new one begun."""
        try:
            self._connect(path)
            if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                return None
            raise sqlite3.DatabaseError("quick_check failed")
        except sqlite3.OperationalError as error:  # cannot open, read-only, locked: not a matter of its content
            raise StoreError(f"{path}: {error}") from error
        except sqlite3.DatabaseError:
            self._db.close()
            aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            self._connect(path)
            return aside

    def _connect(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # a power cut must not take a committed alarm along
        self._db.execute("PRAGMA journal_size_limit = 4194304")
        path.chmod(0o600)

    def migrate(self) -> None:
        """Bring an older file up to this version; a file from a newer version is refused in plain words."""
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(SCHEMA):
            raise StoreError(
                f"{self.path} was written by a newer Jaga (schema {version}, this one knows {len(SCHEMA)}): "
                "install that version again or put back the copy that the upgrade made"
            )
        for number, script in enumerate(SCHEMA[version:], version + 1):
            with self._transaction("migrate"):
                for statement in filter(str.strip, script.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {number}")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def refill_ballast(self) -> None:
        """Put the ballast back where there is room for it again, twice over."""
        if self._ballast_bytes == 0 or self._ballast.exists():
            return
        try:
            free = os.statvfs(self.path.parent)
            if free.f_bavail * free.f_frsize > 4 * self._ballast_bytes:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)
        except OSError:
            self._ballast.unlink(missing_ok=True)  # half a ballast would look like a whole one; the disk rule tells why

    @property
    def has_ballast(self) -> bool:
        return self._ballast_bytes == 0 or self._ballast.exists()

    # --- transactions --------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: {doing}: {error}") from error

    def _write(self, doing: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in one transaction; on a full disk give up the ballast and do it once more."""
        try:
            with self._transaction(doing) as db:
                return work(db)
        except StoreError as error:
            full = isinstance(error.__cause__, sqlite3.OperationalError) and "full" in str(error.__cause__)
            if not (full and self._ballast.exists()):
                raise
            self._ballast.unlink()
            with self._transaction(doing) as db:
                return work(db)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: read: {error}") from error

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._reading():
            return self._db.execute(statement, values).fetchall()

    # --- the desk's side -----------------------------------------------------------------------------------------

    def commit(self, changes: Changes) -> None:
        """Write one change, whole. No change, no write."""
        if changes:
            self._write("commit", lambda db: self._apply(db, changes))

    def _apply(self, db: sqlite3.Connection, changes: Changes) -> None:
        if changes.shift:
            self._shift(db, changes.shift)
        for incident in changes.incidents.values():
            if changes.shift:  # its key in the table is its opening time, which moved along
                db.execute("DELETE FROM incidents WHERE code = ? AND opened = ?",
                           (incident.code, incident.opened - changes.shift))
            db.execute("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?)",
                       (incident.code, incident.opened, incident.closed, incident.severity, incident.key,
                        _pack(incident)))
        db.executemany("INSERT INTO history (code, at, what, who, how, detail) VALUES (?, ?, ?, ?, ?, ?)",
                       [(e.code, e.at, e.what, e.who, e.how, e.detail) for e in changes.history])
        db.executemany(
            "INSERT INTO notifications"
            " (code, ordinal, contact, channel, created, not_before, stale_at, severity, state, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(n.code, n.ordinal, n.contact, n.channel, n.created, n.not_before, n.stale_at, n.severity,
              "sent" if n.mark in changes.spoken else "queued", _pack(n)) for n in changes.notifications])
        db.executemany("UPDATE notifications SET passed_on = 1 WHERE code = ? AND ordinal = ? AND created = ?",
                       [(n.code, n.ordinal, n.created) for n in changes.passed_on])
        for key, trace in changes.traces.items():
            if trace is None:
                db.execute("DELETE FROM traces WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO traces VALUES (?, ?)", (key, _pack(trace)))
        db.executemany("INSERT OR REPLACE INTO memories VALUES (?, ?)",
                       [(name, _pack(memory)) for name, memory in changes.memories.items()])
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(changes.meta.items()))
        db.executemany("INSERT OR REPLACE INTO silences VALUES (?, ?, ?)",
                       [(each.id, each.ends, _pack(each)) for each in changes.silences])
        db.executemany("INSERT OR IGNORE INTO heard VALUES (?, ?, ?, ?)",
                       [(each.channel, each.id, each.contact, each.at) for each in changes.heard])
        db.executemany("INSERT OR IGNORE INTO signatures VALUES (?, ?, ?, ?, ?)",
                       [(each.day, each.row, each.who, each.how, each.at) for each in changes.signatures])

    def _shift(self, db: sqlite3.Connection, seconds: float) -> None:
        db.execute("UPDATE notifications SET not_before = not_before + ?1, stale_at = stale_at + ?1"
                   " WHERE state IN ('queued', 'held')", (seconds,))
        db.execute("UPDATE notifications SET moved = moved + ? WHERE state IN ('queued', 'held', 'claimed')"
                   " OR message IN (SELECT id FROM messages WHERE state IN ('sending', 'uncertain', 'accepted'))",
                   (seconds,))
        for message in self._live(db, None):
            moved = msgspec.structs.replace(
                message, claimed=message.claimed + seconds,
                next_at=None if message.next_at is None else message.next_at + seconds,
                accepted_at=None if message.accepted_at is None else message.accepted_at + seconds,
                letter=msgspec.structs.replace(message.letter, stale_at=message.letter.stale_at + seconds))
            self._put(db, moved)

    def remembered(self, now: float) -> Remembered:
        """Everything that a start begins with."""
        bodies = self._read("SELECT body FROM incidents WHERE closed IS NULL OR closed > ? ORDER BY opened",
                            (now - RECUR_WITHIN,))
        codes = self._read("SELECT code FROM incidents WHERE closed IS NULL OR closed > ?", (now - REUSE_AFTER,))
        return Remembered(
            incidents=tuple(self._readable("incidents", Incident, bodies)),
            codes=frozenset(code for (code,) in codes),
            silences=tuple(self._readable("silences", Silence, self._read(
                "SELECT body FROM silences WHERE ends > ?", (now,)))),
            traces={trace.key: trace for trace in self._readable("traces", Trace, self._read(
                "SELECT body FROM traces"))},
            meta=dict(self._read("SELECT key, value FROM meta")),
        )

    @staticmethod
    def _readable(table: str, kind: type[T], rows: Sequence[tuple[bytes]]) -> Iterator[T]:
        """What can be read of it: one spoilt row must not keep the watch from starting, and what it told of that is
        still bad opens again."""
        for (body,) in rows:
            try:
                yield _unpack(body, kind)
            except (ValueError, msgspec.DecodeError) as error:
                log.error("row_unreadable", table=table, error=str(error))

    def memory_of(self, collector: str) -> dict[str, Any]:
        """What the collector left behind with its last committed observation."""
        rows = self._read("SELECT body FROM memories WHERE collector = ?", (collector,))
        return _unpack(rows[0][0], dict[str, Any]) if rows else {}

    # --- the outbox's side -----------------------------------------------------------------------------------------

    def open_batch(self, channel: str, now: float, limit: int, not_to: Collection[str] = ()) -> list[Notification]:
        first = self._read(
            "SELECT contact FROM notifications WHERE state = 'queued' AND channel = ? AND not_before <= ?"
            " AND contact NOT IN (SELECT value FROM json_each(?)) ORDER BY not_before LIMIT 1",
            (channel, now, json.dumps(list(not_to))))
        if not first:
            return []
        rows = self._read("SELECT body FROM notifications WHERE state = 'queued' AND channel = ? AND contact = ?"
                          " ORDER BY id LIMIT ?", (channel, first[0][0], PENT_UP))
        batch, problems = list[Notification](), set[str]()
        for notification in (_unpack(body, Notification) for (body,) in rows):
            about = notification.mark if notification.answer or notification.digest else notification.code
            if about in problems or len(problems) < limit:
                problems.add(about)
                batch.append(notification)
        return batch

    def next_ripe(self, channel: str, not_to: Collection[str] = ()) -> float | None:
        ripe: float | None = self._read(
            "SELECT min(not_before) FROM notifications WHERE state = 'queued' AND channel = ?"
            " AND contact NOT IN (SELECT value FROM json_each(?))", (channel, json.dumps(list(not_to))))[0][0]
        return ripe

    def claim(self, notifications: Sequence[Notification], message: Message) -> Message:
        def work(db: sqlite3.Connection) -> Message:
            row = db.execute("INSERT INTO messages (mark, channel, contact, state, claimed, provider_id, body)"
                             " VALUES (?, ?, ?, ?, ?, '', x'')",
                             (message.letter.mark, message.channel, message.contact, message.state, message.claimed))
            numbered = msgspec.structs.replace(message, id=row.lastrowid or 0)
            self._put(db, numbered)
            db.executemany("UPDATE notifications SET state = 'claimed', message = ?"
                           " WHERE code = ? AND ordinal = ? AND created = ? AND state = 'queued'",
                           [(numbered.id, n.code, n.ordinal, n.created) for n in notifications])
            return numbered

        return self._write("claim", work)

    def record(self, message: Message) -> None:
        def work(db: sqlite3.Connection) -> None:
            self._put(db, message)
            state = {"sending": "claimed", "uncertain": "claimed", "accepted": "sent", "done": "sent"}
            db.execute("UPDATE notifications SET state = ? WHERE message = ?",
                       (state.get(message.state, message.state), message.id))

        self._write("record", work)

    def release(self, message: Message, not_before: float) -> None:
        def work(db: sqlite3.Connection) -> None:
            self._put(db, msgspec.structs.replace(message, state="released", next_at=None))
            db.execute("UPDATE notifications SET state = 'queued', message = NULL, not_before = max(not_before, ?)"
                       " WHERE message = ?", (not_before, message.id))

        self._write("release", work)

    def spoke(self, notifications: Sequence[Notification]) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE notifications SET state = 'sent' WHERE code = ? AND ordinal = ? AND created = ?",
                           [(n.code, n.ordinal, n.created) for n in notifications])

        self._write("spoke", work)

    @staticmethod
    def _put(db: sqlite3.Connection, message: Message) -> None:
        db.execute("UPDATE messages SET state = ?, claimed = ?, accepted_at = ?, proof = ?, provider_id = ?, body = ?"
                   " WHERE id = ?", (message.state, message.claimed, message.accepted_at, message.proof,
                                     message.provider_id, _pack(message), message.id))

    def under_way(self, channel: str) -> list[Message]:
        with self._reading():
            return self._live(self._db, channel)

    @staticmethod
    def _live(db: sqlite3.Connection, channel: str | None) -> list[Message]:
        rows = db.execute("SELECT body FROM messages WHERE state IN ('sending', 'uncertain', 'accepted')"
                          " AND (?1 IS NULL OR channel = ?1) ORDER BY id", (channel,))
        return [_unpack(body, Message) for (body,) in rows.fetchall()]

    def notifications_of(self, message: Message) -> list[Notification]:
        rows = self._read("SELECT body FROM notifications WHERE message = ? ORDER BY id", (message.id,))
        return [_unpack(body, Notification) for (body,) in rows]

    def late(self, channel: str, created_before: Mapping[str, float], unproved: bool) -> list[Notification]:
        late: list[Notification] = []
        for severity, before in created_before.items():
            rows = self._read(
                "SELECT n.body FROM notifications n LEFT JOIN messages m ON m.id = n.message"
                " WHERE n.channel = ? AND n.severity = ? AND n.created + n.moved <= ? AND n.passed_on = 0"
                " AND (n.state IN ('queued', 'claimed', 'failed')"  # failed: we died before the desk was told
                " OR ? AND m.state = 'accepted' AND m.proof < ?) ORDER BY n.id",
                (channel, severity, before, unproved, int(Proof.DELIVERED)))
            late += [_unpack(body, Notification) for (body,) in rows]
        return late

    def beside(self, notification: Notification) -> dict[str, bool]:
        rows = self._read("SELECT channel, passed_on = 0 AND state IN ('queued', 'claimed', 'sent') FROM notifications"
                          " WHERE code = ? AND contact = ? AND created = ? AND ordinal <> ?",
                          (notification.code, notification.contact, notification.created, notification.ordinal))
        return {channel: bool(hoped) for channel, hoped in rows}

    def stranded(self, channels: Sequence[str]) -> list[Notification]:
        rows = self._read("SELECT body FROM notifications WHERE state IN ('queued', 'claimed') AND passed_on = 0"
                          " AND channel NOT IN (SELECT value FROM json_each(?)) ORDER BY id", (json.dumps(channels),))
        return [_unpack(body, Notification) for (body,) in rows]

    def abandon(self, channels: Sequence[str]) -> None:
        def work(db: sqlite3.Connection) -> None:
            for message in self._live(db, None):
                if message.channel not in channels:
                    self._put(db, msgspec.structs.replace(message, state="unknown", next_at=None))
            db.execute("UPDATE notifications SET state = 'unknown' WHERE state IN ('queued', 'claimed')"
                       " AND channel NOT IN (SELECT value FROM json_each(?))", (json.dumps(channels),))

        self._write("abandon", work)

    def drop_stale(self, channel: str, now: float) -> list[Notification]:
        rows = self._read("SELECT id, body FROM notifications WHERE state = 'queued' AND channel = ? AND stale_at <= ?",
                          (channel, now))

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE notifications SET state = 'stale' WHERE id = ?", [(row[0],) for row in rows])

        if rows:
            self._write("drop stale", work)
        return [_unpack(body, Notification) for _, body in rows]

    def stale_unsaid(self, contact: str) -> int:
        rows = self._read("SELECT count(*) FROM notifications WHERE state = 'stale' AND contact = ?", (contact,))
        return int(rows[0][0])

    def said_stale(self, contact: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE notifications SET state = 'stale_said' WHERE state = 'stale' AND contact = ?",
                       (contact,))

        self._write("said stale", work)

    def hold_back(self, notifications: Sequence[Notification]) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE notifications SET state = 'held', passed_on = 1, not_before = ?, stale_at = ?,"
                           " body = ? WHERE code = ? AND ordinal = ? AND created = ? AND state = 'queued'",
                           [(n.not_before, n.stale_at, _pack(n), n.code, n.ordinal, n.created) for n in notifications])

        self._write("hold back", work)

    def let_go(self, channel: str, now: float) -> None:
        due = self._read("SELECT id FROM notifications WHERE state = 'held' AND channel = ? AND not_before <= ?",
                         (channel, now))

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE notifications SET state = 'queued' WHERE id = ?", due)

        if due:
            self._write("let go", work)

    def was_heard(self, channel: str, id: str) -> bool:
        return bool(self._read("SELECT 1 FROM heard WHERE channel = ? AND id = ?", (channel, id)))

    def last_heard(self, channel: str, contact: str) -> float | None:
        at: float | None = self._read("SELECT max(at) FROM heard WHERE channel = ? AND contact = ?",
                                      (channel, contact))[0][0]
        return at

    def meta(self, key: str) -> str:
        rows = self._read("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else ""

    def signatures(self, day: str) -> list[Signature]:
        rows = self._read("SELECT day, row, who, how, at FROM signatures WHERE day = ? ORDER BY at", (day,))
        return [Signature(day=d, row=row, who=who, how=how, at=at) for d, row, who, how, at in rows]

    def message_of(self, channel: str, provider_id: str) -> Message | None:
        rows = self._read("SELECT body FROM messages WHERE provider_id = ? AND channel = ?", (provider_id, channel))
        return _unpack(rows[0][0], Message) if rows else None

    def codes_of(self, channel: str, provider_id: str) -> list[str]:
        return [code for (code,) in self._read(
            "SELECT DISTINCT n.code FROM messages m JOIN notifications n ON n.message = m.id"
            " WHERE m.provider_id = ? AND m.channel = ? ORDER BY n.id", (provider_id, channel))]

    # --- looking back, and forgetting --------------------------------------------------------------------------------

    def counts(self) -> Mapping[str, float]:
        """`oldest`: when the oldest waiting word was created; `proved`: when one was last accepted; `bytes`."""
        oldest = self._read("SELECT min(created + moved) FROM notifications WHERE state IN"
                            " ('queued', 'claimed')")[0][0]
        proved = self._read("SELECT max(accepted_at) FROM messages WHERE proof >= ?", (int(Proof.ACCEPTED),))[0][0]
        try:
            figures = {"bytes": float(self.path.stat().st_size)}
        except OSError as error:  # somebody deleted it under us: what we write goes nowhere
            raise StoreError(f"{self.path}: {error.strerror}") from error
        return figures | {name: at for name, at in (("oldest", oldest), ("proved", proved)) if at is not None}

    def last_messages(self, since: float) -> list[Message]:
        """The last finished message to each person by each channel, of those claimed since then."""
        rows = self._read("SELECT body, max(id) FROM messages WHERE claimed >= ? AND state IN"
                          " ('failed', 'accepted', 'done') GROUP BY channel, contact", (since,))
        return [_unpack(body, Message) for body, _ in rows]

    def sent(self, since: float) -> list[Sent]:
        """The messages since then that a provider took or may have taken, counted."""
        rows = self._read("SELECT contact, channel, json_extract(CAST(body AS TEXT), '$.letter.severity') = 'critical',"
                          " count(*) FROM messages WHERE claimed >= ? AND state NOT IN ('released', 'failed')"
                          " GROUP BY 1, 2, 3", (since,))
        return [Sent(contact, channel, bool(critical), count) for contact, channel, critical, count in rows]

    def waiting(self) -> dict[str, float]:
        """By severity: when the oldest word was created that no provider has, nor a newer one on the same problem."""
        return dict(self._read(
            "SELECT n.severity, min(n.created) FROM notifications n WHERE n.state IN ('queued', 'claimed')"
            " AND NOT EXISTS (SELECT 1 FROM notifications s WHERE s.code = n.code AND s.state = 'sent'"
            " AND s.created >= n.created AND s.id <> n.id) GROUP BY n.severity"))

    def unproved(self, proof: Proof) -> dict[str, float]:
        """By channel: when the first message after the last one with that proof was accepted."""
        return dict(self._read(
            "SELECT m.channel, min(m.accepted_at) FROM messages m LEFT JOIN (SELECT channel, max(accepted_at) AS at"
            " FROM messages WHERE proof >= ?1 GROUP BY channel) p ON p.channel = m.channel"
            " WHERE m.accepted_at > coalesce(p.at, 0) GROUP BY m.channel", (int(proof),)))

    def history(self, code: str) -> list[Entry]:
        rows = self._read("SELECT code, at, what, who, how, detail FROM history WHERE code = ? ORDER BY id", (code,))
        return [Entry(code=c, at=at, what=what, who=who, how=how, detail=detail)
                for c, at, what, who, how, detail in rows]

    def incident(self, code: str) -> Incident | None:
        """The newest incident that had that code, open or closed."""
        rows = self._read("SELECT body FROM incidents WHERE code = ? ORDER BY opened DESC LIMIT 1", (code,))
        return _unpack(rows[0][0], Incident) if rows else None

    def messages_about(self, code: str) -> list[Message]:
        rows = self._read("SELECT DISTINCT m.body FROM messages m JOIN notifications n ON n.message = m.id"
                          " WHERE n.code = ? ORDER BY m.id", (code,))
        return [_unpack(body, Message) for (body,) in rows]

    def prune(self, now: float, messages: float, incidents: float) -> None:
        """Drop message texts and numbers older than `messages` seconds, incidents closed longer than `incidents`."""
        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM notifications WHERE created < ? AND state NOT IN ('queued', 'claimed')",
                       (now - messages,))
            db.execute("DELETE FROM messages WHERE claimed < ? AND state NOT IN"
                       " ('sending', 'uncertain', 'accepted')", (now - messages,))
            db.execute("DELETE FROM heard WHERE at < ?", (now - messages,))
            db.execute("DELETE FROM silences WHERE ends < ?", (now - incidents,))
            db.execute("DELETE FROM incidents WHERE closed < ?", (now - incidents,))
            db.execute("DELETE FROM signatures WHERE at < ?", (now - incidents,))
            db.execute("DELETE FROM history WHERE at < ? AND code NOT IN (SELECT code FROM incidents)",
                       (now - incidents,))

        self._write("prune", work)

    def forget(self, contact: str, names: Sequence[str], incidents: Sequence[Incident]) -> int:
        """Erase a person: messages to them, finished ones that mention them, their name in history and incidents."""
        def work(db: sqlite3.Connection) -> int:
            touched = 0
            for table, live in (("messages", "'sending', 'uncertain', 'accepted'"), ("notifications", "'queued'")):
                touched += db.execute(f"DELETE FROM {table} WHERE contact = ?", (contact,)).rowcount  # noqa: S608
                for name in names:
                    touched += db.execute(
                        f"DELETE FROM {table} WHERE instr(CAST(body AS TEXT), ?) AND state NOT IN ({live})",  # noqa: S608
                        (json.dumps(name, ensure_ascii=False)[1:-1],)).rowcount
            touched += db.execute("DELETE FROM heard WHERE contact = ?", (contact,)).rowcount
            for name in names:
                touched += db.execute("UPDATE history SET who = '-' WHERE who = ?", (name,)).rowcount
                touched += db.execute("UPDATE signatures SET who = '-' WHERE who = ?", (name,)).rowcount
                touched += db.execute("UPDATE history SET detail = '' WHERE instr(detail, ?)", (name,)).rowcount
            for incident in incidents:
                touched += db.execute("UPDATE incidents SET body = ? WHERE code = ? AND opened = ?",
                                      (_pack(incident), incident.code, incident.opened)).rowcount
            return touched

        return self._write("forget", work)

    def all_incidents(self) -> list[Incident]:
        return [_unpack(body, Incident) for (body,) in
                self._read("SELECT body FROM incidents ORDER BY opened")]


def _pack(value: Any) -> bytes:
    """As JSON; not by msgspec, which writes infinity ("never full") as null, and no number reads that back."""
    plain = msgspec.to_builtins(value, str_keys=True)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


def _unpack(body: bytes, kind: type[T]) -> T:
    return msgspec.convert(json.loads(body), kind, str_keys=True)
