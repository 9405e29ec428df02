"""What the fake Telegram answers to the Bot API's methods, in the words of Telegram's own server.

Words, and when they come: https://github.com/tdlib/telegram-bot-api (Client.cpp); where they are a guess, it says
"unverified".
"""

import json
import time
from typing import Any

from agent.demo.fake_telegram.chats import BOT, Message, Telegram
from agent.demo.fake_twilio.api import Request
from agent.demo.fake_twilio.faults import Plan

TEXT_LIMIT = 4096  # characters; here the strictest reading, UTF-16 code units
DATA_LIMIT = 64  # bytes
MOST_BUTTONS = 100  # unverified
REPEATED = 3.0  # seconds within which the same getUpdates is held back
KNOWN = {"chat_id", "text", "link_preview_options", "disable_notification", "protect_content", "reply_markup",
         "message_thread_id"}  # of sendMessage; without parse_mode and entities, for this fake does not parse them


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, words: str, **parameters: int) -> None:
        super().__init__(words)
        self.status, self.words, self.parameters = status, words, parameters

    @property
    def payload(self) -> dict[str, Any]:
        more = {"parameters": self.parameters} if self.parameters else {}
        return {"ok": False, "error_code": self.status, "description": self.words, **more}


class Call(Request, frozen=True, kw_only=True):
    """One call of a method; the path is /bot<token>/<method>."""

    @property
    def name(self) -> str:
        """Methods are case-insensitive."""
        return self.path.rpartition("/")[2].lower()

    @property
    def kind(self) -> str:
        return {"sendmessage": "create", "getupdates": "fetch"}.get(self.name, "list")


class Api:
    """The methods that Jaga uses. `answer` returns status and JSON; it raises Refusal."""

    def __init__(self, telegram: Telegram, plan: Plan, token: str, held: float) -> None:
        self.telegram, self.plan, self._token, self._held = telegram, plan, token, held
        self._asked = (-1, float("-inf"))  # offset of the last getUpdates, and when it came
        self._turn = 0  # counts getUpdates: a later one ends the one that waits

    def answer(self, call: Call) -> tuple[int, Any]:
        if call.path != f"/bot{self._token}/{call.path.rpartition('/')[2]}":
            raise Refusal(401, "Unauthorized")
        method = {"getme": lambda given: BOT, "sendmessage": self._send, "getupdates": self._updates,
                  "answercallbackquery": self._answer_tap, "deletewebhook": self._delete_webhook}.get(call.name)
        if method is None:
            raise Refusal(404, "Not Found")
        return 200, {"ok": True, "result": method(self._given(call))}

    @staticmethod
    def _given(call: Call) -> dict[str, Any]:
        if call.content_type.startswith("application/json"):
            try:
                given = json.loads(call.body)
            except ValueError:
                given = None
            if not isinstance(given, dict):
                raise Refusal(400, "Bad Request: can't parse JSON object")  # unverified
            return given
        return dict(call.query)

    def _send(self, given: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(given.keys() - KNOWN):  # stricter than Telegram: finds our spelling mistakes
            raise Refusal(400, f"Bad Request: unknown parameters {unknown}")
        chat, text = given.get("chat_id", ""), given.get("text", "")
        if chat == "":
            raise Refusal(400, "Bad Request: chat_id is empty")
        if not isinstance(text, str) or not text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > TEXT_LIMIT:
            raise Refusal(400, "Bad Request: message is too long")
        buttons = _buttons(given.get("reply_markup", {}))
        with self.telegram.changed:
            known = self.telegram.chats.get(chat)
            if known is None:
                raise Refusal(400, "Bad Request: chat not found")
            if known.migrated:
                raise Refusal(400, "Bad Request: group chat was upgraded to a supergroup chat",
                              migrate_to_chat_id=known.migrated)
            if known.forbidden:
                raise Refusal(403, f"Forbidden: {known.forbidden}")
            return self.telegram.shape(self._kept(chat, text, given, buttons))

    def _kept(self, chat: int, text: str, given: dict[str, Any],
              buttons: tuple[tuple[tuple[str, str], ...], ...]) -> Message:
        return self.telegram.keep(chat, text, given.get("disable_notification", False), buttons)

    def _updates(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """Confirms what is before `offset`; where nothing waits, waits for it; a later call ends an earlier one."""
        offset, limit = int(given.get("offset", 0)), min(100, max(1, int(given.get("limit", 100))))
        with self.telegram.changed:
            self._refuse_webhook("can't use getUpdates method while webhook is active; use deleteWebhook to delete "
                                 "the webhook first")
            timeout = self._patience(offset, float(given.get("timeout", 0)))
            self._turn += 1
            turn = self._turn
            self.telegram.changed.notify_all()
            self.telegram.confirm(offset)
            self.telegram.changed.wait_for(lambda: self._due(turn), timeout)
            if turn != self._turn:
                raise Refusal(409, "Conflict: terminated by other getUpdates request; make sure that only one bot "
                                   "instance is running")
            self._refuse_webhook("terminated by setWebhook request")
            return self.telegram.waiting()[:limit]

    def _due(self, turn: int) -> bool:
        return bool(turn != self._turn or self.telegram.closing or self.telegram.webhook or self.telegram.waiting())

    def _patience(self, offset: int, timeout: float) -> float:
        before, at = self._asked
        now = time.monotonic()
        self._asked = (offset, now)
        return max(timeout, self._held) if offset == before and timeout < REPEATED and now < at + REPEATED else timeout

    def _refuse_webhook(self, words: str) -> None:
        if self.telegram.webhook:
            raise Refusal(409, f"Conflict: {words}")

    def _answer_tap(self, given: dict[str, Any]) -> bool:
        tap = given.get("callback_query_id", "")
        with self.telegram.changed:
            made = self.telegram.taps.get(tap)
            if made is None or self.telegram.clock() > made + 150 or tap in self.telegram.answered:  # unverified: when
                raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
            self.telegram.answered.append(tap)
            self.telegram.changed.notify_all()
        return True

    def _delete_webhook(self, given: dict[str, Any]) -> bool:
        with self.telegram.changed:
            self.telegram.webhook = ""
        return True


def _buttons(markup: Any) -> tuple[tuple[tuple[str, str], ...], ...]:
    rows = markup.get("inline_keyboard", []) if isinstance(markup, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise Refusal(400, "Bad Request: can't parse inline keyboard")  # unverified
    found = []
    for row in rows:
        for button in row:
            if not isinstance(button, dict) or set(button) != {"text", "callback_data"} or not button["text"]:
                raise Refusal(400, "Bad Request: can't parse inline keyboard button")
            if not 1 <= len(button["callback_data"].encode()) <= DATA_LIMIT:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
        found.append(tuple((button["text"], button["callback_data"]) for button in row))
    if sum(map(len, found)) > MOST_BUTTONS:
        raise Refusal(400, "Bad Request: reply markup is too long")
    return tuple(found)
