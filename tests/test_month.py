"""A month in seconds: thirty days of a cooperative's server, two people on call, and everything that was said.

The desk, the store, the channels, the dialogue, the hand-over and the words are the real ones; the clock, the vendors
and the world are told below. The transcript is docs/transcript-month.md; write it anew after a change of words with

    .venv/bin/python -m tests.test_month --write
"""

import random
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count, pairwise
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from agent.config import load
from agent.daily import Daily
from agent.routine import Digest, Proof, Setup
from agent.store import Store
from alerts import budget, notification
from alerts.desk import Desk
from alerts.dialogue import Dialogue
from alerts.incident import Incident
from alerts.judgement import RuleBook
from alerts.notification import Answer, Busy, Letter, Notification, Receipt, Refused, Reply, Status
from alerts.outbox import Channel
from alerts.step import next_at
from alerts.words import compose
from collectors.base import Reading

BEAT = 5.0  # seconds between two looks of the desk at its clock, as in agent/app.py
PAGE = Path(__file__).parent.parent / "docs" / "transcript-month.md"
ZONE = ZoneInfo("Asia/Jakarta")
DAYS = ("Sen", "Sel", "Rab", "Kam", "Jum", "Sab", "Min")
CONFIGURATION = """
[agent]
name = "server"
site = "Koperasi"
[collectors.services]
[collectors.disk]
[notifiers.twilio]
account_sid = "AC00000000000000000000000000000000"
auth_token = { env = "TOKEN" }
sender = "+628110000000"
template = "HX00000000000000000000000000000000"
[notifiers.email]
host = "smtp.example.id"
sender = "Jaga <jaga@example.id>"
[contacts.budi]
display = "Pak Budi"
whatsapp = "+628110000001"
email = "budi@example.id"
channels = ["twilio", "email"]
[contacts.sari]
display = "Bu Sari"
whatsapp = "+628110000002"
email = "sari@example.id"
channels = ["twilio", "email"]
[oncall]
people = ["budi", "sari"]
handover = "Mon 08:00"
start = "2026-01-05"
[hours]
holidays = ["2026-01-16"]
[[maintenance]]
name = "mysqlcheck"
match = { rule = "service_*" }
every = "Sun 01:00"
for = "2h"
[alerts]
quiet_closed_days = true
probation = "0s"
baseline = "0s"
[rules.service_down]
explained_by = [{ rule = "service_down", where = { unit = ["mysql"] } }]
"""

HEAD = """# A month with Jaga

Thirty days of a cooperative's server as `tests/test_month.py` tells them on a virtual clock: what broke (—), what
people were told (→), what did not arrive (✗), what they answered. Pak Budi and Bu Sari take turns each week; both have
WhatsApp and e-mail. Warnings wait from 21.00 to 07.00 and on holidays, of which 16 January is one; each Sunday from
01.00 to 03.00 the database is maintained. A message is shown by its subject; times are WIB. The morning's list is left
out here.

The test compares this page with what was said now; `.venv/bin/python -m tests.test_month --write` writes it anew.

```
"""


def at(text: str) -> float:
    """"05-01 10:12" or "05-01 10:12:30" of 2026, local."""
    form = "%Y-%d-%m %H:%M:%S" if text.count(":") > 1 else "%Y-%d-%m %H:%M"
    return datetime.strptime(f"2026-{text}", form).replace(tzinfo=ZONE).timestamp()


BEGIN, END = at("05-01 00:00"), at("04-02 00:00")

# What happens, in order. "nginx dies" and "nginx is up" are units; "/ is 84 % full" is a disk; "budi: …" is written to
# us, with {nginx} for its incident's code; "#" is explanation, and what begins with "!" is done to the world.
STORY = """
05-01 10:12  nginx dies
05-01 10:14  budi: ok
05-01 10:31  nginx is up
06-01 22:40  / is 84 % full                 # a warning at night waits
07-01 07:21  budi: siap, saya cek
07-01 08:50  / is 61 % full
08-01 02:13  mysql dies
08-01 02:14  php8.2-fpm dies                # because of mysql: nobody needs to hear that as well
08-01 02:31  sari: ok                       # Pak Budi sleeps
08-01 02:52  mysql is up
08-01 02:53  php8.2-fpm is up
09-01 14:00  redis-server dies
09-01 14:03  redis-server is up
09-01 14:06  redis-server dies
09-01 14:09  redis-server is up
09-01 14:12  redis-server dies
09-01 14:13  budi: otw
09-01 14:16  redis-server is up
09-01 14:20  redis-server dies
09-01 14:26  redis-server is up
10-01 23:30  / is 83 % full                 # over before the morning: no news
11-01 01:10  mysql dies                     # in the maintenance window
11-01 01:48  mysql is up
11-01 04:05  / is 55 % full
14-01 11:02  supervisor dies
14-01 11:04  sari: maaf tidak bisa, lagi di jalan
14-01 11:06  budi: ok pak
14-01 11:20  supervisor is up
16-01 10:00  / is 85 % full                 # a holiday
16-01 13:07  supervisor dies
16-01 13:09  sari: ok
16-01 13:30  supervisor is up
17-01 07:30  sari: ok, saya bersihkan       # no guess is ever made
17-01 07:31  sari: ok
17-01 09:10  / is 58 % full
18-01 01:30  mysql dies                     # in the window, and not up again at its end
18-01 03:04  sari: otw
18-01 03:41  mysql is up
20-01 18:00  ! Pak Budi's phone is off
20-01 21:05  nginx dies
20-01 21:24  sari: ok
20-01 21:40  nginx is up
21-01 09:00  ! Pak Budi's mailbox is full
21-01 09:30  php8.2-fpm dies
21-01 09:36  sari: siap
21-01 09:50  php8.2-fpm is up
22-01 18:00  ! Pak Budi's phone is on
22-01 18:00  ! Pak Budi's mailbox has room
22-01 19:10  supervisor dies
22-01 19:12  budi: diam {supervisor} 2j     # he is replacing it
22-01 21:14  budi: ok
22-01 21:30  supervisor is up
24-01 01:00  redis-server dies              # both sleep soundly
24-01 01:48  sari: ok
24-01 02:10  redis-server is up
27-01 03:00  ! WhatsApp is down
27-01 03:05  mysql dies
27-01 03:30  ! WhatsApp is up
27-01 03:33  sari: ok
27-01 03:55  mysql is up
28-01 08:15  redis-server dies
28-01 08:17  sari: ok
28-01 10:19  sari: masih
28-01 11:00  redis-server is up
29-01 15:00  nginx dies
29-01 15:02  sari: selesai {nginx}          # it is not
29-01 15:06  sari: ok
29-01 15:25  nginx is up
30-01 16:00  nginx dies
30-01 16:05  ! the agent is killed and started again
30-01 16:20  budi: ok
30-01 16:35  nginx is up
31-01 12:00  nginx dies
31-01 12:00  php8.2-fpm dies
31-01 12:00:07  sari: status                # the answer must wait for a moment: one message in six seconds
31-01 12:02  sari: ok                       # which of them?
31-01 12:03  sari: ok semua
31-01 12:20  php8.2-fpm is up
31-01 12:21  nginx is up
01-02 01:05  mysql dies
01-02 01:25  mysql is up
02-02 19:00  / is 93 % full
02-02 19:20  budi: 👍
02-02 20:10  / is 70 % full
"""


class Heard(msgspec.Struct, frozen=True):
    """A word that a vendor took, when, and whether the person's phone was on."""

    word: Notification
    at: float
    reached: bool


class Vendor:
    """Takes letters while it is up; whether they are delivered depends on the person's phone."""

    def __init__(self, month: "Month", name: str, proof: notification.Proof, address: str) -> None:
        self.month, self.name, self.proof, self.address = month, name, proof, address
        self.arrived = list[tuple[float, Letter]]()
        self.delivered: dict[str, bool] = {}

    def send(self, letter: Letter) -> Receipt:
        if f"{self.name} is down" in self.month.troubles:
            raise Busy("503")
        if self.name == "email" and f"{letter.name}'s mailbox is full" in self.month.troubles:
            raise Refused("mailbox is full", "552")
        self.arrived.append((self.month.now, letter))
        self.month.notes(f"→ {letter.name:<8} {WAYS[self.name]:<8}  {letter.subject}")
        return Receipt(f"{self.name}-{len(self.arrived)}")


class WhatsApp(Vendor):
    def status(self, provider_id: str) -> Status:
        _, letter = self.arrived[int(provider_id.rpartition("-")[2]) - 1]
        off = f"{letter.name}'s phone is off" in self.month.troubles
        return Status(proof=notification.Proof.ACCEPTED if off else notification.Proof.READ)

    def find(self, mark: str, to: str) -> Receipt | None:
        found = [number for number, (_, letter) in enumerate(self.arrived, 1) if (letter.mark, letter.to) == (mark, to)]
        return Receipt(f"{self.name}-{found[0]}") if found else None


WAYS = {"twilio": "WhatsApp", "email": "e-mail"}
OPPOSITE = {"phone is on": "phone is off", "mailbox has room": "mailbox is full", "WhatsApp is up": "WhatsApp is down"}


class Month:
    """The house, the clock, and the world in which it stands."""

    def __init__(self, folder: Path) -> None:
        (folder / "agent.toml").write_text(CONFIGURATION, "utf-8")
        self.config = load(folder / "agent.toml", {"TOKEN": "token"})
        self.folder, self.policy, self.now = folder, self.config.policy, BEGIN
        self.lines, self.troubles = list[str](), set[str]()
        self.sick: dict[str, float] = {}  # unit or mount: its reading
        self.was_sick = defaultdict[str, list[list[float]]](list)  # from, until
        self.heard, self.checked = list[Heard](), 0  # what the vendors took, and how many of these were checked
        self.vendors = {
            "twilio": WhatsApp(self, "twilio", notification.Proof.READ, "whatsapp"),
            "email": Vendor(self, "email", notification.Proof.ACCEPTED, "email")}
        self.replies, self.lives = count(1), count(1)
        self.chance = random.Random(2026)
        self.begin()

    def begin(self) -> None:
        self.store = Store(self.folder / "jaga.db", ballast=0, process=f"life {next(self.lives)}")
        self.store._db.execute("PRAGMA synchronous = OFF")  # no power is cut here
        proofs = {name: vendor.proof for name, vendor in self.vendors.items()}
        self.desk = Desk(self.store, RuleBook(self.config.rules.values()), self.policy, proofs, now=self.now,
                         fingerprints={"services": "1", "disk": "1"}, emergency=self.never, chance=self.chance)
        setup = Setup(policy=self.policy, proofs=proofs, two_way=frozenset({"twilio"}), digest=Digest(at=""),
                      proof=Proof(weekly=""))
        self.daily = Daily(self.desk, self.store, lambda: setup, list, self.now)
        self.dialogue = Dialogue(self.desk, self.store, lambda: self.policy, lambda: ZONE,
                                 lambda: {name: vendor.address for name, vendor in self.vendors.items()},
                                 lambda *_: Answer(phrase="nothing_to_sign"))
        self.channels = {
            name: Channel(name, vendor, self.store, self.compose, clock=lambda: self.now, undelivered=self.undelivered,
                          patience=lambda: self.policy.undelivered, outcomes=self.outcome, process=self.store.process,
                          window_open=self.window_open(name), chance=self.chance,
                          allowance=lambda batch, now: budget.allowance(batch, self.store.sent, self.policy, now))
            for name, vendor in self.vendors.items()}
        self.due = dict.fromkeys(self.channels, self.now)

    # --- what the house asks ---------------------------------------------------------------------------------------

    def compose(self, notifications: Sequence[Notification], contact: str, channel: str, *, now: float,
                window_open: bool, stale: int, from_memory: bool) -> Letter:
        person, vendor = self.policy.contacts[contact], self.vendors[channel]
        return compose(notifications, rules=self.config.rules, to=person.addresses[vendor.address],
                       name=person.display, language=person.language, site="Koperasi", agent="server", zone=ZONE,
                       now=now, two_way=channel == "twilio", window_open=window_open, stale=stale,
                       from_memory=from_memory, names={name: self.called(name) for name in self.policy.contacts})

    def window_open(self, channel: str) -> Callable[[str, float], bool]:
        return lambda contact, now: now - (self.store.last_heard(channel, contact) or 0.0) < 86100.0

    def undelivered(self, failed: Notification, why: str, now: float) -> None:
        self.notes(f"✗ {self.called(failed.contact):<8} {WAYS[failed.channel]:<8}  {failed.mark} did not arrive: {why}")
        self.desk.undelivered(failed, why, now)

    def outcome(self, channel: str, outcome: str, batch: Sequence[Notification], now: float) -> None:
        if outcome == "accepted":
            off = channel == "twilio" and f"{self.called(batch[0].contact)}'s phone is off" in self.troubles
            self.heard += [Heard(spoken, now, not off) for spoken in batch]
        assert outcome not in ("uncertain", "unknown", "stale", "held"), f"{self.clock}: {outcome}: {batch}"

    def never(self, urgent: Sequence[Notification]) -> None:
        assert not urgent, f"{self.clock}: the store failed"

    # --- what happens in the world ---------------------------------------------------------------------------------

    def happens(self, what: str, why: str) -> None:
        who, said, text = what.partition(": ")
        why = why and f"   ({why})"
        if said:
            text = text.format(**self.codes)
            self.notes(f"{who}: {text}{why}")
            self.writes(who, text)
            return
        self.notes(f"— {what.removeprefix('! ')}{why}")
        if what.endswith("started again"):
            self.store.close()
            self.begin()
        elif what.startswith("! "):
            self.troubles ^= {self.trouble(what.removeprefix("! "))}
        else:
            self.changes(*what.rsplit(maxsplit=1) if what.endswith("dies") else what.split(" is ", 1))

    def trouble(self, what: str) -> str:
        for good, bad in OPPOSITE.items():
            what = what.replace(good, bad)
        return what.replace("WhatsApp", "twilio")

    def changes(self, thing: str, how: str) -> None:
        value = float(how.split()[0]) / 100 if how.endswith("full") else float(how == "up")
        good = value < 0.8 if how.endswith("full") else value == 1
        if good:
            self.was_sick[thing][-1][1] = self.now
            del self.sick[thing]
        else:
            self.was_sick[thing] += [] if thing in self.sick else [[self.now, float("inf")]]
            self.sick[thing] = value
        self.measure(thing, value)

    def measure(self, thing: str, value: float) -> None:
        name, metric, label = (("disk", "jaga_disk_used_ratio", "mount") if thing == "/" else
                               ("services", "jaga_service_active", "unit"))
        others = [Reading(metric, now, ((label, other),)) for other, now in self.sick.items()
                  if other != thing and (other == "/") == (thing == "/")]
        self.desk.observe(name, [Reading(metric, value, ((label, thing),)), *others], None, self.now)

    def writes(self, who: str, text: str) -> None:
        reply = Reply(id=f"in-{next(self.replies)}", address=self.policy.contacts[who].addresses["whatsapp"],
                      text=text, at=self.now)
        assert self.dialogue.hear("twilio", reply, self.now) == who
        assert self.dialogue.hear("twilio", reply, self.now) is None  # webhooks come twice
        self.channels["twilio"].wrote_to_us(who)

    @property
    def codes(self) -> dict[str, str]:
        """Of what is open, by unit."""
        return {dict(member.labels).get("unit", "/"): incident.code for incident in self.desk.view.open
                for member in incident.members.values()}

    def called(self, contact: str) -> str:
        return self.policy.contacts[contact].display

    # --- time ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From event to event: those of the story, those that the desk and the channels wait for, the collectors'."""
        rows = [row.split("  ", 1) for row in STORY.strip().splitlines()]
        events = deque((at(when), *map(str.strip, what.partition("  #")[::2])) for when, what in rows)
        measure = 0.0
        while self.now < END:
            while events and events[0][0] <= self.now:
                self.happens(*events.popleft()[1:])
            if self.now >= measure:
                for thing in list(self.sick):
                    self.measure(thing, self.sick[thing])
                measure = self.now - self.now % 60 + 90  # at the half of each minute
            self.desk.tick(self.now)
            self.daily.tick(self.now)
            for name, channel in self.channels.items():
                pause = channel.turn()
                busy = self.store.next_ripe(name) is not None or self.store.under_way(name)
                self.due[name] = self.now + pause if busy else float("inf")
            self.check()
            steps = [next_at(incident, self.policy) or 0.0 for incident in self.desk.view.open]
            beats = [BEAT * ceil(max(at, self.now + 0.05) / BEAT) for at in steps]  # the desk looks at its clock
            hour = self.now - self.now % 3600 + 3600
            self.now = min([hour, *beats, *self.due.values(), *([measure] if self.sick else []),
                            *([events[0][0]] if events else [])])
        assert not events

    @property
    def clock(self) -> str:
        local = datetime.fromtimestamp(self.now, ZONE)
        return f"{DAYS[local.weekday()]} {local:%d-%m %H.%M.%S}"

    def notes(self, what: str) -> None:
        self.lines.append(f"{self.clock}  {what}")

    # --- what must hold --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """After every event."""
        for incident in self.desk.view.open:
            self.has_a_next_step(incident)
        for heard in self.heard[self.checked:]:
            self.was_worth_it(heard.word)
        self.checked = len(self.heard)

    def has_a_next_step(self, incident: Incident) -> None:
        """Acknowledged, held, calm or urged: each until a time that is still to come."""
        at = next_at(incident, self.policy)
        assert at is not None
        assert at >= self.now, f"{self.clock}: {incident.code} waits for nothing"
        if incident.severity == "critical" and incident.acked_until is None and not incident.held_by:
            assert at - self.now <= max(900.0, self.policy.flap_calm if incident.calm_since else 0.0)

    def was_worth_it(self, spoken: Notification) -> None:
        """It was an answer or a hand-over, the end of what was told, or about what was bad when it was said."""
        if spoken.reason in ("answer", "handover"):
            return
        if spoken.reason == "resolved":
            assert (spoken.code, spoken.contact) in {(each.word.code, each.word.contact) for each in self.heard
                                                     if each.word.reason != "resolved"}
            return
        things = [dict(member.labels).get("unit", "/") for member in spoken.incident.members.values()]
        times = [span for thing in things for span in self.was_sick[thing]]
        assert any(begin <= spoken.created <= end + 60 for begin, end in times), f"{self.clock}: {spoken}"


def lived(folder: Path) -> Month:
    month = Month(folder)
    month.run()
    month.store.close()
    return month


def page(month: Month) -> str:
    return HEAD + "\n".join(month.lines) + "\n```\n"


def test_a_month(tmp_path: Path) -> None:
    month = lived(tmp_path)
    for vendor in month.vendors.values():
        nobody_gets_more_than_the_pair_rate(vendor)
    everybody_heard_the_end(month)
    assert month.desk.view.open == ()
    assert [(thing, begin) for thing, begin, delay in delays(month) if delay is None] == UNHEARD
    assert {(thing, begin): delay for thing, begin, delay in delays(month) if delay and delay > AT_ONCE} == SLOW
    assert page(month) == PAGE.read_text("utf-8"), ".venv/bin/python -m tests.test_month --write, and read what changed"


PAIR_RATE = 6.0  # seconds between two messages to one person: what WhatsApp allows
AT_ONCE = 10.0  # seconds
UNHEARD = [
    ("php8.2-fpm", "08-01 02:14"),  # mysql explained it
    ("redis-server", "09-01 14:20"),  # it was known to go up and down
    ("/", "10-01 23:30"),  # a warning that was over by the morning
    ("mysql", "11-01 01:10"), ("mysql", "01-02 01:05"),  # maintenance
]
SLOW = {  # seconds until a person had it
    ("/", "06-01 22:40"): 30005.0,  # 07.00
    ("/", "16-01 10:00"): 75605.0,  # 07.00 of the day after the holiday
    ("mysql", "18-01 01:30"): 5405.0,  # the window's end
    ("nginx", "20-01 21:05"): 185.0,  # a phone that is off: e-mail after three minutes
    ("php8.2-fpm", "21-01 09:30"): 195.0,  # and where the mailbox is full as well: the other person
    ("mysql", "27-01 03:05"): 185.0,  # WhatsApp is down: e-mail
    ("/", "02-02 19:00"): 155.0,  # disk_space waits two minutes, and is measured once a minute
}


def nobody_gets_more_than_the_pair_rate(vendor: Vendor) -> None:
    times = defaultdict[str, list[float]](list)
    for moment, letter in vendor.arrived:
        times[letter.to].append(moment)
    assert [(to, moment) for to, moments in times.items() for before, moment in pairwise(moments)
            if moment - before < PAIR_RATE] == []


def everybody_heard_the_end(month: Month) -> None:
    """Whoever was told of a problem by a channel heard by it once that it was over, each time that it was."""
    knows: dict[tuple[str, str, str], bool] = {}
    for spoken in (heard.word for heard in month.heard):
        who = (spoken.code, spoken.contact, spoken.channel)
        if spoken.reason == "resolved":
            assert knows[who], f"{spoken.mark}: {spoken.contact} had heard the end of it"
        knows[who] = spoken.reason not in ("resolved", "answer", "handover")
    assert [who for who, still in knows.items() if still] == []


def delays(month: Month) -> list[tuple[str, str, float | None]]:
    """Each outage, when it began, and how many seconds later somebody was told of it; None: nobody."""
    found = []
    for thing, times in month.was_sick.items():
        for begin, end in times:
            told = [heard.at for heard in month.heard if heard.reached and begin <= heard.word.created <= end
                    and any(thing in dict(member.labels).values() for member in heard.word.incident.members.values())]
            began = f"{datetime.fromtimestamp(begin, ZONE):%d-%m %H:%M}"
            found.append((thing, began, min(told) - begin if told else None))
    return sorted(found, key=lambda each: at(each[1]))


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.test_month --write")
    with tempfile.TemporaryDirectory() as somewhere:
        PAGE.write_text(page(lived(Path(somewhere))), "utf-8")
