"""kill -9 at every named step, many times: `make crash`. What reached the phones is compared with what was promised.

Each run plays one incident (opened, escalated, acknowledged, ack expired, resolved) through the real desk, store,
outbox and Twilio SDK, against the fake Twilio in a process of its own. The playing process is killed at steps that the
seed chooses, and another takes over on the same store, until the story is over. Time is the story's, not the clock's.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from agent.demo.fake_twilio import Account
from agent.store import Store
from alerts.desk import Desk
from alerts.judgement import RuleBook
from alerts.ledger import Message
from alerts.notification import Notification
from alerts.notifiers.twilio import Twilio
from alerts.notifiers.twilio_templates import TEMPLATES
from alerts.outbox import Channel
from alerts.policy import Contact, default_steps
from alerts.words import compose
from collectors.base import Reading
from collectors.secret import Secret
from story import MONDAY, policy, rule

STEPS = (
    "observe: before its commit", "observe: after its commit", "escalate: before its commit",
    "escalate: after its commit", "ack: before its commit", "ack: after its commit", "claim: before", "claim: after",
    "request: on the wire", "response: lost", "record: before", "record: after", "status: before it is written",
    "status: after it was written",
)
ACCOUNT = Account(pair_seconds=0.0, pace=(("delivered", 0.0), ("read", 0.01)))
MINUTE = 60.0
MINUTES = (0, 15, 16, 40, 137, 138)  # when each scene begins


@dataclass
class Verdict:
    """What one run, or all of them together, came to."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    faults: list[str] = field(default_factory=list)


class Vendor:
    """The fake Twilio as a process that outlives every kill."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.demo.fake_twilio", "--account", msgspec.json.encode(ACCOUNT).decode()],
            stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.template = "HX" + "a" * 32
        self._post("template", {"sid": self.template, "status": "approved",
                                "types": {"twilio/text": {"body": TEMPLATES["id"].body}}})

    def bodies(self, phone: str) -> list[str]:
        """What that phone was sent, in order."""
        with urllib.request.urlopen(f"{self.url}/_fake/messages", timeout=10) as answer:
            return [m["body"] for m in json.load(answer) if m["to"] == f"whatsapp:{phone}"]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _post(self, deed: str, content: dict[str, Any]) -> Any:
        request = urllib.request.Request(f"{self.url}/_fake/{deed}", json.dumps(content).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


class Play:
    """The story as one process plays it, from where the one before it was killed."""

    def __init__(self, folder: Path, vendor: Vendor, phones: dict[str, str], kill: tuple[str, int] | None) -> None:
        self.folder, self.kill, self._seen = folder, kill, Counter[str]()
        done = folder / "scenes"
        self._begin = int(done.read_text()) if done.exists() else 0
        self.now = MONDAY + MINUTES[min(self._begin, len(MINUTES) - 1)] * MINUTE  # no clock went back while it was dead
        people = {name: Contact(name=name, display=name.title(), language="id", channels=("twilio",),
                                addresses={"whatsapp": phone}) for name, phone in phones.items()}
        self.policy = policy(contacts=people, people=tuple(people), steps=default_steps(tuple(people)))
        self.rules = {"down": rule()}
        self.store = Store(folder / "jaga.db", ballast=0)
        notifier = Twilio(account_sid=ACCOUNT.sid, auth_token=Secret("fake", lambda: ACCOUNT.token),
                          sender=ACCOUNT.senders[0], template=vendor.template, base_url=vendor.url)
        self.desk = Desk(self.store, RuleBook(self.rules.values()), self.policy, {"twilio": notifier.proof},
                         now=self.now, fingerprints={"services": "1"})
        self.channel = Channel(
            "twilio", notifier, self.store, self._compose, clock=lambda: self.now,
            undelivered=self.desk.undelivered, patience=lambda: self.policy.undelivered, process=self.store.process,
            listen_every=lambda: 1e9)
        self._place_the_kills(notifier)

    def _compose(self, notifications: Any, contact: str, channel: str, **given: Any) -> Any:
        from zoneinfo import ZoneInfo
        person = self.policy.contacts[contact]
        return compose(notifications, rules=self.rules, to=person.addresses["whatsapp"], name=person.display,
                       language="id", site="", agent="crash", zone=ZoneInfo("Asia/Jakarta"), **given)

    def step(self, name: str) -> None:
        """Here the process may be killed."""
        self._seen[name] += 1
        if self.kill == (name, self._seen[name]):
            (self.folder / "killed").open("a").write(name + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def _place_the_kills(self, notifier: Twilio) -> None:
        """Wrap the edges of the process's parts; nothing in them knows of it."""
        store: Any = self.store
        commit, claim, record, create = store.commit, store.claim, store.record, Twilio.send

        def around(doing: str, work: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*given: Any) -> Any:
                self.step(f"{doing}: before")
                done = work(*given)
                self.step(f"{doing}: after")
                return done
            return wrapped

        def committed(changes: Any) -> None:
            if changes:
                self.step(f"{self.doing}: before its commit")
            commit(changes)
            if changes:
                self.step(f"{self.doing}: after its commit")

        def recorded(message: Message) -> None:
            status = message.questions > 0
            self.step("status: before it is written" if status else "record: before")
            record(message)
            self.step("status: after it was written" if status else "record: after")

        def sent(letter: Any) -> Any:
            if self.kill is not None and self.kill[0] == "request: on the wire":
                return self._on_the_wire(lambda: create(notifier, letter))
            receipt = create(notifier, letter)
            self.step("response: lost")
            return receipt

        self.doing = "observe"
        store.commit, store.record, store.claim = committed, recorded, around("claim", claim)
        self.channel._notifier = _Wrapped(notifier, sent)  # type: ignore[assignment]

    def _on_the_wire(self, request: Callable[[], Any]) -> Any:
        """Kill while another thread has the request out: it may have arrived, or not."""
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(request()))
        thread.start()
        if self.kill == ("request: on the wire", self._seen["request: on the wire"] + 1):
            thread.join(random.uniform(0.0, 0.02))
        self.step("request: on the wire")
        thread.join()
        return answers[0]

    def play(self) -> None:
        """From the first scene that is not over; a scene that was cut off is played again, as the world would."""
        scenes: list[tuple[str, Callable[[], Any]]] = [
            ("observe", lambda: self._sees(0)), ("escalate", lambda: self.desk.tick(self.now)), ("ack", self._acks),
            ("escalate", lambda: self.desk.tick(self.now)), ("escalate", lambda: self.desk.tick(self.now)),
            ("observe", lambda: self._sees(1)),
        ]
        scenes_left = zip(MINUTES[self._begin:], scenes[self._begin:], strict=True)
        for number, (minute, (doing, act)) in enumerate(scenes_left, self._begin + 1):
            self.now, self.doing = MONDAY + minute * MINUTE, doing
            act()
            for _ in range(8):
                self.now += 5.0
                self.doing = "observe"
                self.channel.turn()
            (self.folder / "scenes").write_text(str(number))

    def _sees(self, value: float) -> None:
        self.desk.observe("services", [Reading("up", value, (("unit", "nginx"),))], None, self.now)

    def _acks(self) -> None:
        (incident,) = self.desk.view.open
        if incident.acked_until is None:
            self.desk.ack(incident.code, "sari", "cli", self.now)


class _Wrapped:
    """The notifier with a kill in its `send`."""

    def __init__(self, notifier: Twilio, send: Callable[[Any], Any]) -> None:
        self.send, self.find, self.status = send, notifier.find, notifier.status
        self.proof, self.address = notifier.proof, notifier.address


def run(seed: int, vendor: Vendor, base: Path) -> Verdict:
    """One story with one to three kills."""
    chance = random.Random(seed)
    folder = base / str(seed)
    folder.mkdir()
    phones = {"budi": f"+62812{seed:07d}", "sari": f"+62813{seed:07d}"}
    kills: list[tuple[str, int] | None] = [(STEPS[(seed + n * 5) % len(STEPS)], chance.choice((1, 1, 2, 3)))
                                           for n in range(chance.randint(1, 3))]
    for kill in [*kills, None]:
        child = os.fork()
        if child == 0:
            _play_and_leave(folder, vendor, phones, kill)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            return Verdict(1, faults=[f"seed {seed}: {(folder / 'fault').read_text()}"])
    verdict = judge(seed, folder, vendor, phones)
    shutil.rmtree(folder)
    return verdict


def _play_and_leave(folder: Path, vendor: Vendor, phones: dict[str, str], kill: tuple[str, int] | None) -> None:
    code = 0
    try:
        Play(folder, vendor, phones, kill).play()
    except BaseException:
        import traceback
        (folder / "fault").write_text(traceback.format_exc())
        code = 1
    os._exit(code)


def judge(seed: int, folder: Path, vendor: Vendor, phones: dict[str, str]) -> Verdict:
    """Compare the store's promises with what the provider says arrived."""
    killed = (folder / "killed").read_text().splitlines() if (folder / "killed").exists() else []
    verdict = Verdict(1, Counter(killed))
    store = Store(folder / "jaga.db", ballast=0)
    rows = [msgspec.json.decode(body, type=Notification) for (body,) in
            store._read("SELECT body FROM notifications ORDER BY id")]
    arrived: Counter[str] = Counter()
    for name, phone in phones.items():
        for body in vendor.bodies(phone):
            marks = re.findall(r"Tanda pesan: ([A-Z0-9, -]+)", body)
            for mark in re.findall(r"[A-Z]\d[A-Z]+-\d+", marks[0] if marks else ""):
                arrived[f"{name} {mark}"] += 1
    promised = Counter(f"{n.contact} {n.mark}" for n in rows)
    reasons = [(n.reason, n.contact) for n in rows]
    expected = [("opened", "budi"), ("escalated", "sari"), ("acked", "budi"), ("ack_expired", "budi"),
                ("ack_expired", "sari"), ("resolved", "budi"), ("resolved", "sari")]
    say = verdict.faults.append
    if sorted(reasons) != sorted(expected):
        say(f"seed {seed}: told {reasons}, kills {killed}")
    for what in promised:
        if not arrived[what]:
            say(f"seed {seed}: {what} never arrived, kills {killed}")
    for what in arrived:
        if what not in promised:
            say(f"seed {seed}: {what} arrived and was never queued")
    verdict.duplicates = sum(count - 1 for count in arrived.values())
    if verdict.duplicates > len(killed):
        say(f"seed {seed}: {verdict.duplicates} duplicates after {len(killed)} kills: {killed}")
    if [i.closed_why for i in store.all_incidents()] != ["good"]:
        say(f"seed {seed}: the incident did not end")
    acked = next((e.at for e in store.history(rows[0].code) if e.what == "acked"), None) if rows else None
    climbed = [n.mark for n in rows
               if acked is not None and acked < n.created < acked + 7200 and n.reason == "escalated"]
    if climbed:
        say(f"seed {seed}: {climbed} climbed while somebody had it")
    store.close()
    return verdict


def campaign(runs: int, first_seed: int = 0, say: Callable[[str], None] = lambda line: None) -> Verdict:
    """Play that many stories; the seeds are consecutive, so a fault can be played again."""
    total, vendor = Verdict(), Vendor()
    base = Path(tempfile.mkdtemp(prefix="jaga-crash-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        for seed in range(first_seed, first_seed + runs):
            one = run(seed, vendor, base)
            total.runs += 1
            total.kills += one.kills
            total.duplicates += one.duplicates
            total.faults += one.faults
            if total.runs % 100 == 0:
                say(f"{total.runs} runs, {sum(total.kills.values())} kills, {total.duplicates} duplicates, "
                    f"{len(total.faults)} faults")
    finally:
        vendor.close()
        shutil.rmtree(base)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill Jaga at every step and see that nothing is lost.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    verdict = campaign(given.runs, given.seed, print)
    for name in STEPS:
        print(f"{verdict.kills[name]:6d} kills at {name}")
    print(f"{verdict.runs} runs, {sum(verdict.kills.values())} kills: {len(verdict.faults)} faults, "
          f"{verdict.duplicates} duplicates")
    print("\n".join(verdict.faults))
    sys.exit(bool(verdict.faults))


if __name__ == "__main__":
    main()
