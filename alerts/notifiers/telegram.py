"""Telegram: messages with buttons, and what people answer, by long polling; `docs/telegram.md` holds the facts."""

import ipaddress
import re
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
import structlog

from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Reply, Section, Uncertain
from alerts.notifiers import fitting
from alerts.notifiers.telegram_line import call
from alerts.notifiers.telegram_updates import Sent, about, read, reply
from collectors.quantities import Seconds
from collectors.secret import Secret

TEXT_LIMIT = 4096  # characters of a message; in which unit is not said, and UTF-16 is the strictest
DATA_LIMIT = 64  # bytes of a button's data
BUTTON_ROWS = 8  # problems with buttons of their own; more would push the text off a phone's screen
POLL = 1  # seconds that Telegram may keep a question open: our thread cannot send meanwhile
HELD = 3.0  # seconds that Telegram adds where the same is asked again within 3 s, and before some conflicts
MOST = 100  # updates in one answer, Telegram's limit
TAP_TIMEOUT = 3.0  # seconds: a button that goes on spinning harms nobody
LABELS = {"id": ("Saya tangani", "Diam 2 jam", "Saya tangani semua"),
          "en": ("I take it", "Silence 2 h", "I take them all")}
_QUIET = ({"resolved"}, {"acked"}, {"resolved", "acked"})  # reasons that ring for nobody, where there is no other
_HUSHED = ("acked", "test", "answer", "handover")  # reasons that leave nothing to silence

log = structlog.get_logger()


class Telegram(msgspec.Struct, frozen=True, kw_only=True):
    """Writes to a contact's `telegram` chat (a number) as the bot whose `token` @BotFather gave out, and reads answers.

    Each person must press Start in the chat with the bot first. No other program may read the same bot's messages.
    Telegram tells a bot neither that a message arrived nor that it was read, and cannot be asked for one by its mark.
    """

    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = "telegram"

    token: Secret
    base_url: str = "https://api.telegram.org"
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9]\d{0,15}:[\w-]{1,63}", self.token.reveal(), re.ASCII):
            raise ValueError("token is not what @BotFather gives out: it looks like 123456789:AAE… (without \"bot\")")
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/"):
            raise ValueError('base_url is not an address: it looks like "https://api.telegram.org"')
        if url.scheme == "http" and not _is_loopback(url.hostname):
            raise ValueError("base_url must be https:// (http:// only to this machine itself): the token travels in it")
        if self.timeout <= 0:
            raise ValueError('timeout must be more than 0: write "10s"')

    def send(self, letter: Letter) -> Receipt:
        """Hand the letter over as plain text, with buttons where something is to be answered; good news is silent."""
        if not re.fullmatch(r"-?\d{1,18}", letter.to, re.ASCII):
            raise Refused("the contact's telegram address is not a chat's number", "address")
        given: dict[str, Any] = {
            "chat_id": int(letter.to),
            "text": fitting.free_text(letter, TEXT_LIMIT),
            "link_preview_options": {"is_disabled": True},  # else Telegram's servers open our links
            "disable_notification": {section.reason for section in letter.sections} in _QUIET,
        }
        if rows := _buttons(letter):
            given["reply_markup"] = {"inline_keyboard": rows}
        result = call(self.base_url, self.token, "sendMessage", given, self.timeout)
        try:
            sent = msgspec.json.decode(result, type=Sent)
        except msgspec.DecodeError:
            raise Uncertain("Telegram answered without saying what it sent") from None
        return Receipt(about(sent.chat.id, sent.message_id))

    def replies(self, since: float) -> list[Reply]:
        """What people wrote or tapped and Telegram still has, oldest first: a message for 24 h, a tap for 150 s.

        Telegram is told to forget what was returned before `since` (unix seconds), and no sooner: so what the caller
        could not write down comes again under the same id, also after a crash.
        """
        place = _place(self.base_url, self.token.reveal().partition(":")[0])
        with place.turn:
            place.forget(since)
            given = {"timeout": POLL, "allowed_updates": ["message", "callback_query"]}
            if place.offset is not None:
                given["offset"] = place.offset
            result = call(self.base_url, self.token, "getUpdates", given, self.timeout + POLL + HELD, repeatable=True)
            updates, now = read(result), time.time()
            self._stop_spinning([str(update.callback_query.get("id", "")) for update in updates
                                 if update.callback_query and update.update_id not in place.returned])
            for update in updates:
                place.returned.setdefault(update.update_id, now)
            found = [reply(update, place.returned[update.update_id]) for update in updates]
        return [one for one in found if one is not None]

    def _stop_spinning(self, taps: list[str]) -> None:
        """Tell the people's phones that their taps arrived; where that fails, a button spins a little longer."""
        for tap in taps:
            try:
                call(self.base_url, self.token, "answerCallbackQuery", {"callback_query_id": tap},
                     min(TAP_TIMEOUT, self.timeout), repeatable=True)
            except (Busy, Refused) as error:
                log.info("tap_unanswered", error=error.why)
                if isinstance(error, Busy):
                    return


class _Place:
    """How far one bot's messages were read. Two notifiers of one bot take turns: Telegram lets one read at a time."""

    def __init__(self) -> None:
        self.offset: int | None = None  # the first update that is wanted; Telegram forgets all before it
        self.returned: dict[int, float] = {}  # updates that are not forgotten yet, and when they came (unix seconds)
        self.turn = threading.Lock()

    def forget(self, since: float) -> None:
        """What came before `since` is done with. A full answer is as well: it would bar the way for what follows."""
        full = len(self.returned) >= MOST
        done = [number for number, came in self.returned.items() if full or came < since]
        if done:
            self.offset = max(done) + 1
            self.returned = {number: came for number, came in self.returned.items() if number >= self.offset}


@cache
def _place(base_url: str, bot: str) -> _Place:
    """One for each bot, for as long as the process lives; across restarts Telegram remembers it."""
    return _Place()


def _buttons(letter: Letter) -> list[list[dict[str, str]]]:
    """A row for each problem that can be answered, and one for all of them."""
    take, hush, take_all = LABELS.get(letter.language, LABELS["id"])
    asked = [section for section in letter.sections if section.answer and section.code]
    rows = [list(_row(section, take, hush, len(asked) > 1)) for section in asked[:BUTTON_ROWS]]
    if len(asked) > 1:
        rows.append([{"text": take_all, "callback_data": "ok semua"}])
    return [row for row in rows if row]


def _row(section: Section, take: str, hush: str, several: bool) -> Iterator[dict[str, str]]:
    """The data is what a person would write: so a tap and a written answer are one and the same."""
    before = f"{section.code}: " if several else ""
    wanted = [(take, f"ok {section.code}")]
    if section.reason not in _HUSHED:
        wanted.append((hush, f"diam {section.code} 2j"))
    for label, data in wanted:
        if len(data.encode()) <= DATA_LIMIT:
            yield {"text": before + label, "callback_data": data}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
