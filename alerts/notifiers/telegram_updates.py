"""What Telegram's getUpdates returns, as replies. The shapes are those of https://core.telegram.org/bots/api."""

from typing import Any

import msgspec
import structlog

from alerts.notification import Busy, Reply
from alerts.text import line

_MEDIA = {"animation", "audio", "contact", "dice", "document", "location", "paid_media", "photo", "poll", "sticker",
          "story", "venue", "video", "video_note", "voice"}

log = structlog.get_logger()


class _Chat(msgspec.Struct, frozen=True):
    id: int
    type: str = "private"


class _Person(msgspec.Struct, frozen=True):
    id: int
    first_name: str = ""
    last_name: str = ""


class Sent(msgspec.Struct, frozen=True):
    message_id: int
    chat: _Chat


class _Message(msgspec.Struct, frozen=True):
    message_id: int
    chat: _Chat
    date: int = 0
    sender: _Person | None = msgspec.field(default=None, name="from")
    text: str = ""
    caption: str = ""
    reply_to_message: Sent | None = None


class _Tap(msgspec.Struct, frozen=True):
    id: str
    sender: _Person = msgspec.field(name="from")
    data: str = ""
    message: Sent | None = None


class Update(msgspec.Struct, frozen=True):
    """At most one of the two is there; what else there may be, we did not ask for."""

    update_id: int
    message: dict[str, Any] | None = None
    callback_query: dict[str, Any] | None = None


def read(result: msgspec.Raw) -> list[Update]:
    """The updates of one answer, in order. Raises Busy where it is none."""
    try:
        return msgspec.json.decode(result, type=list[Update])
    except msgspec.DecodeError:
        raise Busy("what Telegram answered is not a list of updates") from None


def reply(update: Update, came: float) -> Reply | None:
    """One that cannot be read is told and passed over: it would otherwise bar the way for all that follow."""
    try:
        if update.callback_query is not None:
            return _tapped(update.update_id, msgspec.convert(update.callback_query, _Tap), came)
        if update.message is not None:
            media = bool(_MEDIA & update.message.keys())
            return _written(update.update_id, msgspec.convert(update.message, _Message), media)
    except msgspec.ValidationError as error:
        log.warning("update_unreadable", update=update.update_id, error=str(error))
    return None


def _tapped(number: int, tap: _Tap, came: float) -> Reply:
    """Telegram does not say when somebody tapped: so it is when we learnt of it, 150 s later at most."""
    return Reply(id=f"tg-{number}", address=str(tap.sender.id), text=tap.data, at=came, name=_name(tap.sender),
                 payload=tap.data, about=about(tap.message.chat.id, tap.message.message_id) if tap.message else "",
                 group=_group(tap.message.chat) if tap.message else "")


def _written(number: int, message: _Message, media: bool) -> Reply | None:
    text = message.text or message.caption
    if message.sender is None or not (text or media):  # a channel; somebody joined, a title changed
        return None
    to = message.reply_to_message
    return Reply(id=f"tg-{number}", address=str(message.sender.id), text=text, at=float(message.date),
                 name=_name(message.sender), about=about(to.chat.id, to.message_id) if to else "",
                 group=_group(message.chat), media=media and not text)


def about(chat: int, message: int) -> str:
    """A message's id is its own only within its chat."""
    return f"{chat}/{message}"


def _name(person: _Person) -> str:
    return line(f"{person.first_name} {person.last_name}")


def _group(chat: _Chat) -> str:
    return "" if chat.type == "private" else str(chat.id)
