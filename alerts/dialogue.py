"""What people write to us: who it was, what they mean, what is done, what is answered; once, however often it comes."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

import structlog

from alerts.desk import Desk, UnknownCode
from alerts.figures import clock
from alerts.incident import Incident
from alerts.ledger import Heard, Ledger, StoreError
from alerts.notification import Answer, Reply
from alerts.policy import ONCALL, Contact, Policy, Step
from alerts.replies import Intent, understand
from alerts.silence import of_incident

RATE = (12, 60.0)  # replies of one person that are answered, in so many seconds: a loop of two robots must end
SILENCE = 7200.0  # seconds, where the person named no time
LONGEST_SILENCE = 7 * 86400.0
LAG = 5.0  # seconds that a provider's clock may be behind ours; nobody reads a message and answers it in less
REMEMBERED = 2000  # replies: more than any provider repeats, and they hold where the store cannot be written to
# What somebody on a shared phone is shown to write with their name, in Indonesian and English.
DEEDS = {"silence": ("diam", "silence"), "resolve": ("selesai", "done"), "giveback": ("lanjut", "give back")}

log = structlog.get_logger()

Sign = Callable[[Contact, str, str, str, float], Answer]  # contact, rows, who did it, channel, now
Count = Callable[[str, str], None]  # channel, what it was taken for


class Dialogue:
    """`addresses` tells which of a contact's addresses a channel writes to. Any thread may call `hear`."""

    def __init__(
        self, desk: Desk, ledger: Ledger, policy: Callable[[], Policy], zone: Callable[[], ZoneInfo],
        addresses: Callable[[], Mapping[str, str]], sign: Sign, count: Count = lambda channel, what: None,
    ) -> None:
        self._desk, self._ledger, self._policy, self._zone = desk, ledger, policy, zone
        self._addresses, self._sign, self._count = addresses, sign, count
        self._lock = threading.Lock()
        self._lately: dict[str, deque[float]] = {}
        self._dealt_with: dict[tuple[str, str], None] = {}  # channel and id of the last replies, oldest first

    def hear(self, channel: str, reply: Reply, now: float) -> str | None:
        """Act on a reply and queue the answer; returns the contact, or None for a stranger's or one heard before."""
        with self._lock:  # the webhook and the polling may bring the same reply in the same moment
            return self._hear(channel, reply, now)

    def _hear(self, channel: str, reply: Reply, now: float) -> str | None:
        this = (channel, reply.id)
        if this in self._dealt_with:
            return None
        contact = self._who(channel, reply)
        if contact is None:
            self._count(channel, "stranger")
            self._deal_with(this)
            return None
        if self._ledger.was_heard(channel, reply.id):
            return None
        heard = Heard(channel=channel, id=reply.id, contact=contact.name, at=reply.at)
        if self._too_often(contact.name, now):
            self._count(channel, "too_often")
            self._desk.hear(heard, None, now)
            return contact.name
        intent = understand(reply.text, open_codes={i.code for i in self._desk.view.open}, payload=reply.payload,
                            media=reply.media, people=self._names() if contact.shared else ())
        self._count(channel, intent.verb)
        log.info("reply", channel=channel, contact=contact.name, verb=intent.verb, codes=intent.codes)
        self._deal_with(this)
        try:
            with self._desk.together():  # kill -9 finds it done and heard, or neither
                self._desk.hear(heard, self._act(intent, contact, channel, reply, now), now)
        except StoreError:  # what it is about could not be looked up, so nothing was done yet
            del self._dealt_with[this]
            raise
        return contact.name

    def _deal_with(self, this: tuple[str, str]) -> None:
        self._dealt_with[this] = None
        if len(self._dealt_with) > REMEMBERED:
            del self._dealt_with[next(iter(self._dealt_with))]

    def _act(self, intent: Intent, contact: Contact, channel: str, reply: Reply, now: float) -> Answer | None:
        who = contact.name
        if contact.shared and intent.verb in ("take", "take_all", "yes", "resolve", "giveback", "silence"):
            if not intent.person:
                code = next(iter(intent.codes or [i.code for i in self._desk.view.open]), "K7M")
                indonesian, english = DEEDS.get(intent.verb, ("ok", "ok"))
                return Answer(phrase="name_needed", values={
                    "deed": english if contact.language == "en" else indonesian, "code": code,
                    "name": next(iter(self._names()), "Budi")})
            who = next(c.name for c in self._policy().contacts.values() if c.display == intent.person)
        match intent.verb:
            case "status":
                return self._status()
            case "who":
                duty = self._policy().persons(Step(after=0.0, to=(ONCALL,)), now)
                return Answer(phrase="who", values={"who": ", ".join(self._display(name) for name in duty)})
            case "help":
                return Answer(phrase="help")
            case "sign":
                if contact.shared and not intent.person:
                    return Answer(phrase="name_needed_to_sign", values={"row": intent.near, "name": "Budi"})
                return self._sign(contact, intent.near, intent.person if contact.shared else who, channel, now)
            case "chatter":
                return None
            case "unclear":
                if reply.group and not (reply.about or intent.codes):
                    return None  # people who talk with each other there
                if intent.near == "media":
                    return Answer(phrase="media")
                return Answer(phrase="near", values={"near": intent.near}) if intent.near else Answer(phrase="unclear")
        chosen = self._chosen(intent, contact, channel, reply)
        if isinstance(chosen, Answer):
            return chosen
        return self._do(intent, chosen, who, contact, channel, now)

    def _chosen(self, intent: Intent, contact: Contact, channel: str, reply: Reply) -> list[Incident] | Answer:
        """The incidents that are meant; an answer where that is not clear. Nothing is ever done on a guess."""
        openly = {incident.code: incident for incident in self._desk.view.open}
        if intent.codes:
            unknown = [code for code in intent.codes if code not in openly]
            if unknown:
                past = all(self._ledger.incident(code) for code in unknown)
                return Answer(phrase="over" if past else "unknown_code", values={"codes": ", ".join(unknown)})
            return [openly[code] for code in intent.codes]
        if not openly:
            return Answer(phrase="nothing_open")
        listed = tuple(openly.values())
        openly = {code: incident for code, incident in openly.items() if incident.opened <= reply.at + LAG}
        if not openly:  # an answer that lay with the provider, to something that is over
            return Answer(phrase="which", values={"count": str(len(listed))}, incidents=listed)
        about = [code for code in self._ledger.codes_of(channel, reply.about) if code in openly] if reply.about else []
        if len(about) == 1:
            return [openly[about[0]]]
        free = [i for i in openly.values() if i.acked_until is None]
        mine = [i for i in openly.values() if i.acked_by == contact.name]
        if intent.verb == "yes":  # "masih": said of what they have, or had until a moment ago; of nothing else
            held = mine or [i for i in free if i.last_acked_by == contact.name]
            return held or Answer(phrase="unclear")
        told = [i for i in free if any(pair.contact == contact.name for pair in i.told)] or free
        if intent.verb == "take_all":
            return free or Answer(phrase="nothing_to_take", incidents=tuple(openly.values()))
        if intent.verb == "refuse":
            return told + mine or Answer(phrase="nothing_to_take", incidents=tuple(openly.values()))
        of_them = (mine or list(openly.values())) if intent.verb in ("giveback", "resolve") else told or mine
        if len(of_them) == 1:
            return of_them
        if not of_them:
            return Answer(phrase="nothing_to_take", incidents=tuple(openly.values()))
        return Answer(phrase="which", values={"count": str(len(of_them))}, incidents=tuple(of_them))

    def _do(self, intent: Intent, chosen: list[Incident], who: str, contact: Contact, channel: str,
            now: float) -> Answer:
        codes = [incident.code for incident in chosen]
        values = {"codes": ", ".join(codes)}
        phrases = {"take": "taken", "take_all": "taken", "yes": "taken", "refuse": "refused", "escalate": "escalated",
                   "giveback": "given_back", "silence": "silenced", "resolve": "closed"}
        try:
            for incident in chosen:
                match intent.verb:
                    case "take" | "take_all" | "yes":
                        after = self._desk.ack(incident.code, who, channel, now, intent.lasts)
                        values["until"] = self._clock(after.acked_until or now, contact, now)
                    case "refuse" | "escalate":
                        self._desk.refuse(incident.code, who, channel, now)
                    case "giveback":
                        self._desk.unack(incident.code, who, channel, now)
                    case "resolve":
                        self._desk.resolve(incident.code, who, channel, now)
                    case "silence":
                        lasts = min(intent.lasts or SILENCE, LONGEST_SILENCE)
                        made = self._desk.silence(of_incident(incident), who, now, lasts, why=channel)
                        values["until"] = self._clock(made.ends, contact, now)
        except UnknownCode as gone:  # it ended between the look and the deed
            return Answer(phrase="over", values={"codes": gone.code})
        return Answer(phrase=phrases[intent.verb], values=values)

    def _status(self) -> Answer:
        openly = self._desk.view.open
        if not openly:
            return Answer(phrase="nothing_open")
        return Answer(phrase="status", values={"count": str(len(openly))}, incidents=openly)

    def _who(self, channel: str, reply: Reply) -> Contact | None:
        """The contact who wrote; nobody where it was said in a group that is none of ours."""
        kind = self._addresses().get(channel, "")
        known = {c.addresses.get(kind, ""): c for c in reversed(self._policy().contacts.values())} if kind else {}
        if reply.group and not (reply.group in known and known[reply.group].group):
            return None
        return known.get(reply.address) if reply.address else None

    def _names(self) -> list[str]:
        return [each.display for each in self._policy().contacts.values() if not each.shared]

    def _display(self, name: str) -> str:
        contact = self._policy().contacts.get(name)
        return contact.display if contact else name

    def _clock(self, at: float, contact: Contact, now: float) -> str:
        return clock(at, self._zone(), contact.language, now)

    def _too_often(self, contact: str, now: float) -> bool:
        most, window = RATE
        times = self._lately.setdefault(contact, deque(maxlen=most))
        full = len(times) == most and 0 <= now - times[0] < window  # times to come: the clock was set back
        times.append(now)
        return full
