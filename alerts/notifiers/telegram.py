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
from alerts.text import line
from collectors.quantities import Seconds
from collectors.secret import Secret

TEXT_LIMIT = 4096  # characters of a message; in which unit is not said, and UTF-16 is the strictest
DATA_LIMIT = 64  # bytes of a button's data
BUTTON_ROWS = 8  # problems with buttons of their own; more would push the text off a phone's screen
POLL = 1  # seconds that Telegram may keep a question open: our thread cannot send meanwhile
HELD = 3.0  # seconds that Telegram adds where the same is asked again within 3 s, and before some conflicts
TAP_TIMEOUT = 3.0  # seconds: a button that goes on spinning harms nobody
LABELS = {"id": ("Saya tangani", "Diam 2 jam", "Saya tangani semua"),
          "en": ("I take it", "Silence 2 h", "I take them all")}
_QUIET = ("resolved", "acked")  # reasons that wake nobody
_MEDIA = {"animation", "audio", "contact", "dice", "document", "location", "paid_media", "photo", "poll", "sticker",
          "story", "venue", "video", "video_note", "voice"}

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
            "disable_notification": all(section.reason in _QUIET for section in letter.sections),
        }
        if rows := _buttons(letter):
            given["reply_markup"] = {"inline_keyboard": rows}
        result = call(self.base_url, self.token, "sendMessage", given, self.timeout)
        try:
            sent = msgspec.json.decode(result, type=_Sent)
        except msgspec.DecodeError:
            raise Uncertain("Telegram answered without saying what it sent") from None
        return Receipt(_about(sent.chat.id, sent.message_id))

    def replies(self, since: float) -> list[Reply]:
        """What people wrote or tapped and Telegram has not been told to forget, whatever `since` says, oldest first.

        Asking again tells it to forget what was returned before: so write the replies down first. What was not written
        down before a crash comes again under the same id. Telegram keeps a message for 24 h and a tap for 150 s.
        """
        place = _place(self.base_url, self.token.reveal().partition(":")[0])
        with place.turn:
            given = {"timeout": POLL, "allowed_updates": ["message", "callback_query"]}
            if place.offset is not None:
                given["offset"] = place.offset
            result = call(self.base_url, self.token, "getUpdates", given, self.timeout + POLL + HELD, repeatable=True)
            updates = _updates(result)
            self._stop_spinning([update.callback_query["id"] for update in updates
                                 if update.callback_query and "id" in update.callback_query])
            replies = [reply for update in updates if (reply := _reply(update)) is not None]
            if updates:
                place.offset = max(update.update_id for update in updates) + 1
        return replies

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
        self.offset: int | None = None  # the first update that is wanted; all before it are forgotten
        self.turn = threading.Lock()


@cache
def _place(base_url: str, bot: str) -> _Place:
    """One for each bot, for as long as the process lives; across restarts Telegram remembers it."""
    return _Place()


class _Chat(msgspec.Struct, frozen=True):
    id: int
    type: str = "private"


class _Person(msgspec.Struct, frozen=True):
    id: int
    first_name: str = ""
    last_name: str = ""


class _Sent(msgspec.Struct, frozen=True):
    message_id: int
    chat: _Chat


class _Message(msgspec.Struct, frozen=True):
    message_id: int
    chat: _Chat
    date: int = 0
    sender: _Person | None = msgspec.field(default=None, name="from")
    text: str = ""
    caption: str = ""
    reply_to_message: _Sent | None = None


class _Tap(msgspec.Struct, frozen=True):
    id: str
    sender: _Person = msgspec.field(name="from")
    data: str = ""
    message: _Sent | None = None


class _Update(msgspec.Struct, frozen=True):
    """At most one of the two is there; what else there may be, we did not ask for."""

    update_id: int
    message: dict[str, Any] | None = None
    callback_query: dict[str, Any] | None = None


def _updates(result: msgspec.Raw) -> list[_Update]:
    try:
        return msgspec.json.decode(result, type=list[_Update])
    except msgspec.DecodeError:
        raise Busy("what Telegram answered is not a list of updates") from None


def _reply(update: _Update) -> Reply | None:
    """One that cannot be read is told and passed over: it would otherwise bar the way for all that follow."""
    try:
        if update.callback_query is not None:
            return _tapped(update.update_id, msgspec.convert(update.callback_query, _Tap))
        if update.message is not None:
            media = bool(_MEDIA & update.message.keys())
            return _written(update.update_id, msgspec.convert(update.message, _Message), media)
    except msgspec.ValidationError as error:
        log.warning("update_unreadable", update=update.update_id, error=str(error))
    return None


def _tapped(number: int, tap: _Tap) -> Reply:
    at = time.time()  # Telegram does not say when; it keeps a tap for 150 s
    return Reply(id=f"tg-{number}", address=str(tap.sender.id), text=tap.data, at=at, name=_name(tap.sender),
                 payload=tap.data, about=_about(tap.message.chat.id, tap.message.message_id) if tap.message else "",
                 group=_group(tap.message.chat) if tap.message else "")


def _written(number: int, message: _Message, media: bool) -> Reply | None:
    text = message.text or message.caption
    if message.sender is None or not (text or media):  # a channel; somebody joined, a title changed
        return None
    about = message.reply_to_message
    return Reply(id=f"tg-{number}", address=str(message.sender.id), text=text, at=float(message.date),
                 name=_name(message.sender), about=_about(about.chat.id, about.message_id) if about else "",
                 group=_group(message.chat), media=media and not text)


def _about(chat: int, message: int) -> str:
    """A message's id is its own only within its chat."""
    return f"{chat}/{message}"


def _name(person: _Person) -> str:
    return line(f"{person.first_name} {person.last_name}")


def _group(chat: _Chat) -> str:
    return "" if chat.type == "private" else str(chat.id)


def _buttons(letter: Letter) -> list[list[dict[str, str]]]:
    """A row for each problem that can be answered, and one for all of them."""
    take, hush, take_all = LABELS.get(letter.language, LABELS["id"])
    asked = [section for section in letter.sections if section.answer]
    rows = [list(_row(section, take, hush, len(asked) > 1)) for section in asked[:BUTTON_ROWS]]
    if len(asked) > 1:
        rows.append([{"text": take_all, "callback_data": "ok semua"}])
    return [row for row in rows if row]


def _row(section: Section, take: str, hush: str, several: bool) -> Iterator[dict[str, str]]:
    """The data is what a person would write: so a tap and a written answer are one and the same."""
    before = f"{section.code}: " if several else ""
    wanted = [(take, f"ok {section.code}")]
    if section.reason not in ("acked", "test"):
        wanted.append((hush, f"diam {section.code} 2j"))
    for label, data in wanted:
        if len(data.encode()) <= DATA_LIMIT:
            yield {"text": before + label, "callback_data": data}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
