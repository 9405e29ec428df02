"""What vendors, the network, the clock and the disk are told to do on a `vendor_stage.Stage`: deeds for the rows."""

import contextlib
import http.client
import json
from collections.abc import Callable
from typing import Any

import msgspec

from agent.demo.fake_twilio import Fault, Manner
from agent.demo.fake_twilio.posts import status_params
from alerts.notifiers.fonnte_line import gateway as line
from story import MONDAY
from vendor_stage import CHATS, HOOK, NAME, PHONES, Stage

BUDI = PHONES["budi"]
Deed = Callable[[Stage], Any]


def fail(kind: Any, times: int = 1, **more: Any) -> Deed:
    """The next requests meet this at Twilio; without an end: `times=999`."""
    return lambda stage: stage.twilio.misbehave([Fault(kind=kind, **more)] * times)


def mended(stage: Stage) -> None:
    """Twilio does as it should from now on."""
    stage.twilio._plan._faults.clear()


def bot(kind: Any, times: int = 1, **more: Any) -> Deed:
    return lambda stage: stage.telegram.misbehave([Fault(kind=kind, **more)] * times)


def gateway(kind: Any, times: int = 1, **more: Any) -> Deed:
    return lambda stage: stage.fonnte.misbehave([Fault(kind=kind, **more)] * times)


def phone(**traits: Any) -> Deed:
    return lambda stage: stage.twilio.person(BUDI, **traits)


def both_phones(**traits: Any) -> Deed:
    return lambda stage: [stage.twilio.person(number, **traits) for number in PHONES.values()]


def window_thought_open(stage: Stage) -> None:
    """He wrote to us, and Jaga takes the window for open; WhatsApp does not."""
    stage.app.channels["twilio"]._window_open = lambda contact, now: contact == "budi"


def old_news(status: str) -> Deed:
    """A callback about an earlier status, or a false one, that was long on its way; Twilio's record is as it was."""
    def deed(stage: Stage) -> None:
        first = next(m for m in stage.twilio.messages if m.to.endswith(BUDI))
        params = status_params(stage.twilio.account, msgspec.structs.replace(first, status=status))
        stage.twilio._postman.post(stage.twilio.account, first.callback, params, now=True)
    return deed


def manner(**how: Any) -> Deed:
    return lambda stage: stage.twilio.callbacks(Manner(send_to=f"http://127.0.0.1:{stage.public}", **how))


def together(*deeds: Deed) -> Deed:
    return lambda stage: [deed(stage) for deed in deeds]


def webhook(stage: Stage) -> None:
    """Fonnte tells what Budi wrote two minutes after the fault; each time the same."""
    payload = {"device": "6281200000002", "sender": BUDI.lstrip("+"), "message": f"ok {stage.code}", "member": "",
               "name": "Budi", "timestamp": int(MONDAY + 120), "inboxid": 77}
    connection = http.client.HTTPConnection("127.0.0.1", stage.public, timeout=10)
    with contextlib.closing(connection):
        connection.request("POST", f"/hooks/fonnte/{HOOK}", json.dumps(payload),
                           {"Host": NAME, "Content-Type": "application/json"})
        assert connection.getresponse().status == 200


def fill_disk(stage: Stage) -> None:
    with (stage.folder / "state" / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def free_disk(stage: Stage) -> None:
    (stage.folder / "state" / "filler").unlink()


def read_only(on: bool) -> Deed:
    return lambda stage: stage.app.store._db.execute(f"PRAGMA query_only = {int(on)}")


def device(connected: bool) -> Deed:
    """Fonnte's phone is on, or off."""
    def deed(stage: Stage) -> None:
        stage.fonnte.state.connected = connected
    return deed


def drops_out_unseen(stage: Stage) -> None:
    """The phone goes off right after we asked for it, and Fonnte takes messages all the same."""
    notifier: Any = stage.app.config.notifiers["fonnte"]
    line(notifier.base_url, notifier.token, notifier.timeout)._demand_device()
    stage.fonnte.state.connected, stage.fonnte.state.blind = False, True


def blocks_the_bot(stage: Stage) -> None:
    stage.telegram.chat(CHATS["budi"], forbidden="bot was blocked by the user")


def rcpt(answer: str, until: float) -> Deed:
    """The mail server says that to every recipient, until so many seconds after the fault."""
    def deed(stage: Stage) -> None:
        stage.post.rcpt.extend([answer] * 99)
        stage.later(until, lambda stage: stage.post.rcpt.clear())
    return deed


def cut_after_data(times: int) -> Deed:
    return lambda stage: stage.post.data.extend(["cut"] * times)


def dead_names(until: float) -> Deed:
    return lambda stage: stage.dead_names(until)


def set_clock(seconds: float) -> Deed:
    return lambda stage: stage.set_clock(seconds)
