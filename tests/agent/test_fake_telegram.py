"""The fake Telegram refuses what the Bot API refuses, and forgets an update only when it is confirmed."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from agent.demo.fake_telegram import FakeTelegram, Fault

BUDI, GROUP = 811000001, -1001234567890


class Clock:
    now = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="fake")
def _fake(clock: Clock) -> Iterator[FakeTelegram]:
    with FakeTelegram(clock=clock) as fake:
        fake.person(BUDI, "Budi", "Santoso")
        yield fake


def call(fake: FakeTelegram, method: str, token: str = "", **given: Any) -> tuple[int, Any]:
    """Status, and the result or the description."""
    request = urllib.request.Request(f"{fake.url}/bot{token or fake.token}/{method}", json.dumps(given).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)["result"]
    except urllib.error.HTTPError as refused:
        with refused:
            status, said = refused.code, json.load(refused)
    assert (said["ok"], said["error_code"]) == (False, status)
    return status, said["description"]


def send(fake: FakeTelegram, **given: Any) -> tuple[int, Any]:
    return call(fake, "sendMessage", **{"chat_id": BUDI, "text": "halo", **given})


def button(data: str) -> dict[str, Any]:
    return {"inline_keyboard": [[{"text": "Saya tangani", "callback_data": data}]]}


def ids(fake: FakeTelegram, **given: Any) -> list[int]:
    return [update["update_id"] for update in call(fake, "getUpdates", **given)[1]]


def test_an_accepted_message_is_answered_in_telegrams_shape(fake: FakeTelegram) -> None:
    assert send(fake, reply_markup=button("ok K7M")) == (200, {
        "message_id": 1, "from": {"id": 123456789, "is_bot": True, "first_name": "Jaga", "username": "jaga_bot"},
        "chat": {"id": BUDI, "first_name": "Budi", "type": "private"}, "date": 1_770_000_000, "text": "halo",
        "reply_markup": button("ok K7M")})
    [message] = fake.wait(1)
    assert (message.text, message.silent, message.buttons) == ("halo", False, ((("Saya tangani", "ok K7M"),),))


@pytest.mark.parametrize(("given", "words"), [
    ({"chat_id": 7}, "Bad Request: chat not found"), ({"chat_id": ""}, "Bad Request: chat_id is empty"),
    ({"text": " \n"}, "Bad Request: message text is empty"), ({"text": "x" * 4097}, "Bad Request: message is too long"),
    ({"text": "🚨" * 2049}, "Bad Request: message is too long"),
    ({"reply_markup": button("")}, "Bad Request: BUTTON_DATA_INVALID"),
    ({"reply_markup": button("é" * 33)}, "Bad Request: BUTTON_DATA_INVALID"),
    ({"reply_markup": {"inline_keyboard": [[{"text": "x"}]]}}, "Bad Request: can't parse inline keyboard button"),
    ({"reply_markup": {"inline_keyboard": button("a")["inline_keyboard"] * 101}},
     "Bad Request: reply markup is too long"),
    ({"disable_notifications": True}, "Bad Request: unknown parameters ['disable_notifications']"),
])
def test_what_telegram_refuses_is_refused_and_not_kept(fake: FakeTelegram, given: dict[str, Any], words: str) -> None:
    assert send(fake, **given) == (400, words)
    assert fake.messages == []
    assert send(fake, text="🚨" * 2048, reply_markup=button("é" * 32))[0] == 200


def test_a_stranger_a_wrong_method_a_block_and_a_moved_group(fake: FakeTelegram) -> None:
    assert call(fake, "getMe", token="1:x") == (401, "Unauthorized")
    assert call(fake, "getNothing") == (404, "Not Found")
    assert call(fake, "getMe")[1]["is_bot"] is True
    fake.chat(BUDI, forbidden="bot was blocked by the user")
    assert send(fake) == (403, "Forbidden: bot was blocked by the user")
    fake.group(-100)
    fake.chat(-100, migrated=GROUP)
    assert send(fake, chat_id=-100) == (400, "Bad Request: group chat was upgraded to a supergroup chat")


def test_an_update_comes_again_until_it_is_confirmed(fake: FakeTelegram) -> None:
    first, second = fake.text(BUDI, "ok K7M"), fake.text(BUDI, "status")
    assert ids(fake) == ids(fake) == ids(fake, offset=first) == [first, second]
    assert ids(fake, limit=1) == [first]
    assert ids(fake, offset=first + 1) == ids(fake) == fake.pending == [second]
    assert ids(fake, offset=second + 1) == fake.pending == []
    assert fake.wait_confirmed(second)
    third = fake.media(BUDI, "voice")
    assert ids(fake, offset=10 * third) == [third]  # an offset from the future forgets nothing


def test_a_question_waits_for_what_comes(fake: FakeTelegram) -> None:
    asked = threading.Thread(target=lambda: got.extend(ids(fake, timeout=10)))
    got: list[int] = []
    asked.start()
    written = fake.text(BUDI, "ok")
    asked.join(5)
    assert got == [written]


def test_only_one_may_ask_and_nobody_beside_a_webhook(fake: FakeTelegram) -> None:
    answers: list[tuple[int, Any]] = []
    waiting = threading.Thread(target=lambda: answers.append(call(fake, "getUpdates", timeout=10)))
    waiting.start()
    while waiting.is_alive():  # until the first one stands in line: then the second one ends it
        call(fake, "getUpdates")
        waiting.join(0.02)
    words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    assert answers == [(409, words)]
    fake.webhook("https://elsewhere.example/")
    assert call(fake, "getUpdates") == (409, "Conflict: can't use getUpdates method while webhook is active; use "
                                             "deleteWebhook to delete the webhook first")
    assert send(fake)[0] == 200
    assert call(fake, "deleteWebhook") == (200, True)
    assert call(fake, "getUpdates") == (200, [])


def test_a_tap_is_kept_shortly_and_answered_once(fake: FakeTelegram, clock: Clock) -> None:
    send(fake, reply_markup=button("ok K7M"))
    [message] = fake.messages
    with pytest.raises(ValueError, match="no button"):
        fake.tap(message, "ok P4Q")
    fake.text(BUDI, "halo")
    fake.tap(message, "ok K7M")
    tap = call(fake, "getUpdates")[1][1]["callback_query"]
    assert (tap["data"], tap["from"]["id"], tap["message"]["message_id"]) == ("ok K7M", BUDI, message.id)
    assert call(fake, "answerCallbackQuery", callback_query_id=tap["id"]) == (200, True)
    assert call(fake, "answerCallbackQuery", callback_query_id=tap["id"])[0] == 400
    assert fake.answered == [tap["id"]]
    clock.now += 151
    assert len(fake.pending) == 1
    clock.now += 86400
    assert fake.pending == []


@pytest.mark.parametrize(("fault", "status", "kept"), [
    (Fault(kind="429", retry_after="7"), 429, 0), (Fault(kind="500"), 500, 0), (Fault(kind="accept-500"), 500, 1),
    (Fault(kind="refuse", code=403), 403, 0), (Fault(kind="fine"), 200, 1),
])
def test_it_misbehaves_once_as_planned(fake: FakeTelegram, fault: Fault, status: int, kept: int) -> None:
    fake.misbehave([fault])
    assert call(fake, "getUpdates")[0] == 200
    assert send(fake)[0] == status
    assert len(fake.messages) == kept
    assert send(fake)[0] == 200


def test_a_hasty_question_is_held_where_that_is_asked_for(clock: Clock) -> None:
    import time

    with FakeTelegram(clock=clock, held=0.5) as fake:
        began = time.monotonic()
        assert ids(fake) == []
        between = time.monotonic()
        assert ids(fake) == []
        assert between - began < 0.5 <= time.monotonic() - between
