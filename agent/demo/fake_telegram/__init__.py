"""A Telegram on loopback that refuses what the Bot API refuses, keeps what it took, and misbehaves when told to.

`with FakeTelegram(token) as fake: … fake.url …`. People press Start (`person`), are in groups (`group`), write
(`text`), tap (`tap`) and send pictures (`media`); `messages` is the truth that a sender's own record is compared with.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from agent.demo.fake_telegram.api import Api
from agent.demo.fake_telegram.chats import Chat, Message, Person, Telegram
from agent.demo.fake_telegram.door import Server
from agent.demo.fake_twilio.faults import Fault, Kind, Plan

__all__ = ["Chat", "FakeTelegram", "Fault", "Message", "Person"]

TOKEN = "123456789:AAE-this_is_no_real_token_0123456789"  # noqa: S105 -- the fake's own, and it opens nothing


class FakeTelegram:
    """Starts at once. A fault on "create" hits sendMessage, on "fetch" getUpdates, on "list" the rest."""

    def __init__(self, token: str = TOKEN, *, port: int = 0, clock: Callable[[], float] = time.time,
                 held: float = 0.0) -> None:
        """`held`: how long a getUpdates is held that repeats the one before within 3 s; Telegram does it for 3.0."""
        self.token = token
        self.telegram, self._plan = Telegram(clock), Plan()
        self._server = Server(port, Api(self.telegram, self._plan, token, held))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._server.closing.set()
        self.telegram.close()
        self._server.shutdown()
        self._server.server_close()

    # --- what is to be seen

    @property
    def messages(self) -> list[Message]:
        """What was accepted, in order."""
        with self.telegram.changed:
            return list(self.telegram.messages)

    @property
    def pending(self) -> list[int]:
        """The ids of the updates that nobody has confirmed yet."""
        with self.telegram.changed:
            return [update["update_id"] for update in self.telegram.waiting()]

    @property
    def answered(self) -> list[str]:
        """The ids of the taps that were answered."""
        with self.telegram.changed:
            return list(self.telegram.answered)

    def wait(self, count: int, timeout: float = 10.0) -> list[Message]:
        """Wait until `count` messages were accepted; returns what there is after at most `timeout` seconds."""
        with self.telegram.changed:
            self.telegram.changed.wait_for(lambda: len(self.telegram.messages) >= count, timeout)
        return self.messages

    def wait_confirmed(self, update: int, timeout: float = 10.0) -> bool:
        """Wait until that update was confirmed."""
        with self.telegram.changed:
            return self.telegram.changed.wait_for(lambda: self.telegram.confirmed >= update, timeout)

    # --- what is to be set

    def misbehave(self, next: list[Kind | Fault]) -> None:
        """Plan faults for the next requests; a bare word is a fault on sendMessage."""
        self._plan.add([Fault(kind=fault) if isinstance(fault, str) else fault for fault in next])

    def person(self, number: int, first_name: str = "Budi", last_name: str = "") -> int:
        """Somebody presses Start (no "/start" is queued for it); returns the chat, whose number is theirs."""
        with self.telegram.changed:
            self.telegram.people[number] = Person(id=number, first_name=first_name, last_name=last_name)
            self.telegram.chats[number] = Chat(id=number)
        return number

    def group(self, number: int, type: str = "supergroup") -> int:
        """The bot is invited to a group."""
        with self.telegram.changed:
            self.telegram.chats[number] = Chat(id=number, type=type)
        return number

    def chat(self, number: int, **traits: Any) -> None:
        """Set a chat's traits: `fake.chat(7, forbidden="bot was blocked by the user")`, `migrated=-100…`."""
        with self.telegram.changed:
            self.telegram.chats[number] = msgspec.structs.replace(self.telegram.chats[number], **traits)

    def webhook(self, url: str) -> None:
        """Somebody sets a webhook ("": removes it): no updates by getUpdates until it is gone."""
        with self.telegram.changed:
            self.telegram.webhook = url
            self.telegram.changed.notify_all()

    # --- what people do; each returns the update's id

    def text(self, chat: int, text: str, *, sender: int = 0, about: Message | None = None) -> int:
        """Somebody writes; in a group `sender` says who."""
        reply = {"reply_to_message": self.telegram.shape(about)} if about else {}
        return self.telegram.written(chat, sender or chat, {"text": text, **reply})

    def media(self, chat: int, kind: str = "photo", *, caption: str = "", sender: int = 0) -> int:
        """A picture, `voice`, `sticker` …"""
        content: dict[str, Any] = {kind: {"file_id": "AgAC", "file_unique_id": "AQAD"}}
        if kind == "photo":
            content = {kind: [{"file_id": "AgAC", "file_unique_id": "AQAD", "width": 90, "height": 51}]}
        return self.telegram.written(chat, sender or chat, content | ({"caption": caption} if caption else {}))

    def service(self, chat: int, sender: int, **content: Any) -> int:
        """What Telegram itself says in a chat: `new_chat_title="…"`."""
        return self.telegram.written(chat, sender, content)

    def tap(self, message: Message, data: str, *, sender: int = 0) -> int:
        """Somebody taps one of a message's buttons. Raises ValueError where it has no such button."""
        return self.telegram.tapped(message, data, sender or message.chat)

    def update(self, **content: Any) -> int:
        """Any other update, as it is: `fake.update(edited_message={…})`."""
        return self.telegram.queue(content)
