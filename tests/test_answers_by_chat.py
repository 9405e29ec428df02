"""Somebody answers on the phone, and a running Jaga does it and says so: by webhook, by polling, by both at once."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.demo.fake_twilio import Account, FakeTwilio, Manner
from alerts.notifiers.twilio_templates import TEMPLATES
from alerts.outbox import PACE
from house import SICK_DISK, House, free_port, until

BUDI, SARI = "+6281234567890", "+6281234567891"
NAME = "jaga.kopkarskf.test"
CONFIGURATION = "{public}\n" + SICK_DISK + """
[notifiers.twilio]
account_sid = "{sid}"
auth_token = {{ env = "FAKE_TOKEN" }}
sender = "+15005550006"
template = "{template}"
base_url = "{url}"
[contacts.budi]
whatsapp = "{budi}"
channels = ["twilio"]
[contacts.sari]
whatsapp = "{sari}"
channels = ["twilio"]
[oncall]
people = ["budi", "sari"]
[alerts]
baseline = "0s"
batch = "1s"
quiet = {{ from = "00:00", to = "00:00" }}
"""

Stage = Callable[[bool], tuple[House, FakeTwilio]]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A sick house whose first message was sent; with a webhook where that is wanted."""
    twilio = FakeTwilio(Account(pair_seconds=0.0, pace=(("sent", 0.1), ("delivered", 0.2), ("read", 0.3))))
    houses: list[House] = []

    def begin(webhook: bool) -> tuple[House, FakeTwilio]:
        port = free_port()
        public = f'public = "127.0.0.1:{port}"\npublic_url = "https://{NAME}"' if webhook else ""
        house = House(tmp_path, CONFIGURATION.format(
            public=public, sid=twilio.account.sid, url=twilio.url, budi=BUDI, sari=SARI,
            template=twilio.template(TEMPLATES["id"].body)), {"FAKE_TOKEN": twilio.account.token})
        houses.append(house)
        if webhook:
            twilio.callbacks(Manner(inbound_url=f"https://{NAME}/hooks/twilio", send_to=f"http://127.0.0.1:{port}"))
        house.start()
        until(lambda: twilio.messages)
        return house, twilio

    yield begin
    for house in houses:
        house.close()
    twilio.close()


def seconds_until_said(twilio: FakeTwilio, who: str, text: str, answer: str) -> float:
    """Write to Jaga; how long until the answer holding these words is with the provider?"""
    began = time.monotonic()
    twilio.inbound(who, text)
    until(lambda: [m for m in twilio.messages if answer in m.body and m.to == f"whatsapp:{who}"])
    return time.monotonic() - began


def rested() -> None:
    """Wait out WhatsApp's pair rate after the first message, which would be measured instead of us."""
    time.sleep(PACE + 0.2)


@pytest.mark.parametrize(("webhook", "within"), [(True, 2.0), (False, 7.0)], ids=["by webhook", "by polling"])
def test_ok_is_done_and_confirmed_in_time(stage: Stage, webhook: bool, within: float) -> None:
    house, twilio = stage(webhook)
    rested()
    took = seconds_until_said(twilio, BUDI, "siap pak", "Anda tangani sampai")
    print(f"confirmed after {took:.2f} s")
    assert took < within
    assert house.incidents[0]["acked_by"] == "budi"
    [confirmation] = [m for m in twilio.messages if "Anda tangani sampai" in m.body]
    assert confirmation.content_sid == "", "inside the 24 hours it is free text"


def test_a_refusal_wakes_the_next_person_within_five_seconds(stage: Stage) -> None:
    _, twilio = stage(True)
    began = time.monotonic()
    twilio.inbound(BUDI, "maaf lagi cuti")
    until(lambda: [m for m in twilio.messages if m.to == f"whatsapp:{SARI}"])
    assert time.monotonic() - began < 5.0


def test_webhook_and_polling_together_act_once(stage: Stage) -> None:
    """The webhook acts at once; the same reply is in the list that is polled every few seconds."""
    house, twilio = stage(True)
    rested()
    assert seconds_until_said(twilio, BUDI, "status", "masalah terbuka") < 2.0
    deadline = time.monotonic() + 7  # longer than a poll's interval
    while time.monotonic() < deadline:
        assert len([m for m in twilio.messages if "masalah terbuka" in m.body]) == 1
        time.sleep(0.2)
    assert 'jaga_replies_total{meaning="status",notifier="twilio"} 1.0' in house.get("/metrics")[1]


def test_a_stranger_is_counted_and_gets_no_answer(stage: Stage) -> None:
    house, twilio = stage(True)
    before = len(twilio.messages)
    twilio.inbound("+6289999999999", "ok")
    until(lambda: 'jaga_replies_total{meaning="stranger",notifier="twilio"} 1.0' in house.get("/metrics")[1])
    assert len(twilio.messages) == before
    assert house.incidents[0]["acked_by"] == ""
