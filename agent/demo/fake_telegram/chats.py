"""What the fake Telegram remembers: chats, people, messages, and the updates that wait to be fetched."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec

MESSAGE_KEPT, TAP_KEPT = 86400.0, 150.0  # seconds that an update waits (telegram-bot-api, Client.cpp: add_update)
FIRST_UPDATE = 500_000_001  # "start from a certain positive number"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with Telegram."""

    id: int
    first_name: str
    last_name: str = ""


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A chat that the bot knows. `forbidden`: why it may not write there ("bot was blocked by the user")."""

    id: int
    type: str = "private"
    forbidden: str = ""
    migrated: int = 0  # the supergroup that this group has become


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the bot's. `buttons` are label and data, row by row; `at` in unix seconds."""

    id: int
    chat: int
    text: str
    silent: bool
    buttons: tuple[tuple[tuple[str, str], ...], ...]
    at: float


class Telegram:
    """One lock for all; `changed` is told of everything that happens."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.changed = threading.Condition(threading.RLock())
        self.chats: dict[int, Chat] = {}
        self.people: dict[int, Person] = {}
        self.messages: list[Message] = []
        self.answered: list[str] = []
        self.taps: dict[str, float] = {}  # when each was made
        self.webhook = ""
        self.closing = False
        self.confirmed = FIRST_UPDATE - 1  # the last update that was confirmed
        self._updates: list[tuple[float, dict[str, Any]]] = []  # until when each is kept
        self._last_update, self._last_message = FIRST_UPDATE - 1, 0

    def close(self) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def waiting(self) -> list[dict[str, Any]]:
        """The updates that are neither confirmed nor forgotten."""
        now = self.clock()
        self._updates = [(until, update) for until, update in self._updates
                         if until > now and update["update_id"] > self.confirmed]
        return [update for _, update in self._updates]

    def confirm(self, before: int) -> None:
        """Everything before that update is done with."""
        if self.confirmed < before - 1 <= self._last_update:
            self.confirmed = before - 1
            self.changed.notify_all()

    def queue(self, content: dict[str, Any], kept: float = MESSAGE_KEPT) -> int:
        with self.changed:
            self._last_update += 1
            self._updates.append((self.clock() + kept, {"update_id": self._last_update, **content}))
            self.changed.notify_all()
            return self._last_update

    def written(self, chat: int, sender: int, content: dict[str, Any]) -> int:
        with self.changed:
            return self.queue({"message": {
                "message_id": self.new_id(), "from": self.user(sender), "chat": self.place(chat),
                "date": int(self.clock()), **content}})

    def tapped(self, message: Message, data: str, sender: int) -> int:
        if data not in [known for row in message.buttons for _, known in row]:
            raise ValueError(f"the message has no button {data!r}")
        with self.changed:
            tap = str(4_000_000_000_000_000_000 + len(self.taps))
            self.taps[tap] = self.clock()
            return self.queue({"callback_query": {
                "id": tap, "from": self.user(sender), "message": self.shape(message),
                "chat_instance": "-42", "data": data}}, TAP_KEPT)

    def keep(self, chat: int, text: str, silent: bool, buttons: tuple[tuple[tuple[str, str], ...], ...]) -> Message:
        with self.changed:
            message = Message(id=self.new_id(), chat=chat, text=text, silent=silent, buttons=buttons, at=self.clock())
            self.messages.append(message)
            self.changed.notify_all()
            return message

    def new_id(self) -> int:
        self._last_message += 1
        return self._last_message

    # --- as it goes over the wire

    def user(self, number: int) -> dict[str, Any]:
        person = self.people[number]
        last = {"last_name": person.last_name} if person.last_name else {}
        return {"id": number, "is_bot": False, "first_name": person.first_name, **last, "language_code": "id"}

    def place(self, number: int) -> dict[str, Any]:
        chat = self.chats[number]
        person = self.people.get(number)
        name = {"first_name": person.first_name} if person else {"title": "Toko"}
        return {"id": number, **name, "type": chat.type}

    def shape(self, message: Message) -> dict[str, Any]:
        keys = [[{"text": label, "callback_data": data} for label, data in row] for row in message.buttons]
        return {"message_id": message.id, "from": BOT, "chat": self.place(message.chat), "date": int(message.at),
                "text": message.text} | ({"reply_markup": {"inline_keyboard": keys}} if keys else {})


BOT = {"id": 123456789, "is_bot": True, "first_name": "Jaga", "username": "jaga_bot"}
