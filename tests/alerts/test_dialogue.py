"""People answer, and the right thing happens once."""

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from alerts.answers import LANGUAGES
from alerts.dialogue import Dialogue
from alerts.ledger import StoreError
from alerts.notification import Answer, Notification, Reply
from alerts.policy import Contact
from alerts.replies import understand
from story import Story, policy


class Talk(Story):
    """A story in which people write."""

    def __init__(self, folder: Path, **fields: object) -> None:
        super().__init__(folder, told_by=policy(**fields))
        self.counted: list[str] = []
        self.dialogue = Dialogue(
            self.desk, self.store, lambda: self.policy, lambda: ZoneInfo("Asia/Jakarta"),
            lambda: {"chat": "chat", "mail": "mail"}, lambda *_: Answer(phrase="nothing_to_sign"),
            lambda channel, what: self.counted.append(what))
        self._number = 0

    def writes(self, text: str, who: str = "budi", id: str = "", about: str = "", media: bool = False) -> str | None:
        self._number += 1
        reply = Reply(id=id or f"SM{self._number}", address=f"{who}@chat", text=text, at=self.now, about=about,
                      media=media)
        return self.dialogue.hear("chat", reply, self.now)

    @property
    def answered(self) -> list[tuple[str, str]]:
        """(phrase, contact) of the answers that are queued, oldest first."""
        rows = self.store._read("SELECT body FROM notifications WHERE code = 'JAGA' ORDER BY id")
        found = [msgspec.json.decode(body, type=Notification) for (body,) in rows]
        return [(n.answer.phrase, n.contact) for n in found if n.answer]


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Talk(tmp_path)


def test_ok_takes_the_only_open_one(talk: Talk) -> None:
    talk.at(0).sees(0)
    talk.writes("siap pak")
    assert talk.desk.view.open[0].acked_by == "budi"
    assert talk.answered == [("taken", "budi")]


def test_ok_to_several_is_answered_with_the_list_and_takes_none(talk: Talk) -> None:
    talk.at(0).sees(0, "nginx")
    talk.sees(0, "mysql")
    talk.writes("ok")
    assert [i.acked_by for i in talk.desk.view.open] == ["", ""]
    assert talk.answered == [("which", "budi")]
    talk.writes("ok semua")
    assert [i.acked_by for i in talk.desk.view.open] == ["budi", "budi"]


def test_a_code_takes_that_one(talk: Talk) -> None:
    talk.at(0).sees(0, "nginx")
    talk.sees(0, "mysql")
    code = talk.desk.view.open[1].code
    talk.writes(f"ok {code.lower()}")
    assert {i.code: i.acked_by for i in talk.desk.view.open}[code] == "budi"
    assert [i.acked_by for i in talk.desk.view.open].count("") == 1


def test_an_answer_to_a_message_is_about_that_message(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.at(0).sees(0, "nginx")
    talk.sees(0, "mysql")
    code = talk.desk.view.open[1].code
    monkeypatch.setattr(talk.store, "codes_of", lambda *asked: [code] if asked == ("chat", "SMout") else [])
    talk.writes("ok", about="SMout")
    assert {i.code: i.acked_by for i in talk.desk.view.open}[code] == "budi"


def test_a_refusal_wakes_the_next_person_at_once(talk: Talk) -> None:
    talk.at(0).sees(0)
    _ = talk.said
    talk.writes("tidak bisa, lagi cuti")
    assert ("escalated", "sari", "chat") in talk.said
    assert talk.answered == [("refused", "budi")]


def test_the_same_answer_by_webhook_and_by_polling_acts_once(talk: Talk) -> None:
    talk.at(0).sees(0)
    assert talk.writes("tidak bisa", id="SM77") == "budi"
    assert talk.writes("tidak bisa", id="SM77") is None
    assert talk.answered == [("refused", "budi")]


def test_a_reply_is_done_and_heard_in_one_commit(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    talk.at(0).sees(0, "nginx")
    talk.sees(0, "mysql")
    committed = []
    commit = talk.store.commit
    monkeypatch.setattr(talk.store, "commit", lambda changes: committed.append(changes) or commit(changes))
    talk.writes("ok semua", id="SM5")
    [change] = committed
    assert (len(change.incidents), [h.id for h in change.heard], len(change.notifications)) == (2, ["SM5"], 1)


def test_a_stranger_gets_no_answer_and_is_counted(talk: Talk) -> None:
    talk.at(0).sees(0)
    assert talk.writes("ok", who="orang") is None
    assert (talk.answered, talk.counted, talk.desk.view.open[0].acked_by) == ([], ["stranger"], "")


def test_two_robots_do_not_talk_for_ever(talk: Talk) -> None:
    for _ in range(40):
        talk.writes("status")
    assert len(talk.answered) == 12
    assert talk.counted.count("too_often") == 28


@pytest.mark.parametrize(("text", "phrase"), [
    ("status", "status"), ("siapa", "who"), ("bantuan", "help"), ("K9X", "unknown_code"), ("asdf qwer", "unclear"),
])
def test_questions_are_answered(talk: Talk, text: str, phrase: str) -> None:
    talk.at(0).sees(0)
    talk.writes(text)
    assert talk.answered == [(phrase, "budi")]
    assert talk.desk.view.open[0].acked_by == ""


@pytest.mark.parametrize(("language", "code"), [("id", "KODE"), ("en", "CODE")])
def test_what_the_help_tells_people_to_write_is_understood(language: str, code: str) -> None:
    told = LANGUAGES[language]["help"].partition(": ")[2].replace(code, "K7M").split(" · ")
    verbs = [understand(command.partition(" (")[0], open_codes=["K7M"]).verb for command in told]
    assert verbs == ["take", "refuse", "status", "who", "silence", "giveback", "escalate", "resolve"]


def test_a_voice_note_gets_one_helpful_answer(talk: Talk) -> None:
    talk.at(0).sees(0)
    talk.writes("", media=True)
    assert talk.answered == [("media", "budi")]


def test_silence_by_phone_holds_that_one_and_worse_still_speaks(talk: Talk) -> None:
    talk.at(0).sees(0)
    talk.writes(f"diam {talk.code} 2j")
    assert talk.answered == [("silenced", "budi")]
    assert talk.desk.view.silences[0].ends == talk.now + 7200
    _ = talk.said
    assert talk.at(30).said == []


def test_give_back_escalate_and_done(talk: Talk) -> None:
    talk.at(0).sees(0)
    talk.writes("ok")
    talk.writes(f"lanjut {talk.code}")
    assert talk.desk.view.open[0].acked_until is None
    talk.writes(f"eskalasi {talk.code}")
    assert ("escalated", "sari", "chat") in talk.said
    talk.writes(f"selesai {talk.code}")
    assert talk.desk.view.open == ()
    assert [phrase for phrase, _ in talk.answered] == ["taken", "given_back", "escalated", "closed"]


def test_yes_extends_what_they_had_and_takes_nothing_new(talk: Talk) -> None:
    talk.at(0).sees(0)
    talk.writes("masih")
    assert (talk.desk.view.open[0].acked_by, talk.answered) == ("", [("unclear", "budi")])
    talk.writes("ok")
    talk.at(121)
    assert talk.desk.view.open[0].acked_by == ""
    talk.writes("masih pak")
    assert talk.desk.view.open[0].acked_by == "budi"


def test_a_name_in_a_persons_own_answer_is_not_taken_for_an_answer_of_that_name(talk: Talk) -> None:
    talk.at(0).sees(0)
    talk.writes("sari otw")
    assert talk.desk.view.open[0].acked_by == ""


def test_a_shared_phone_must_name_the_person(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    shared = msgspec.structs.replace(talk.policy.contacts["budi"], shared=True)
    talk.policy = msgspec.structs.replace(talk.policy, contacts={**talk.policy.contacts, "budi": shared})
    talk.at(0).sees(0)
    talk.writes("ok")
    assert talk.answered == [("name_needed", "budi")]
    assert talk.desk.view.open[0].acked_by == ""
    talk.writes("diam 2j")
    assert talk.answered == [("name_needed", "budi")] * 2
    assert talk.desk.view.silences == ()
    talk.writes("ok sari")
    assert talk.desk.view.open[0].acked_by == "sari", "the contact, who may go on from a phone of their own"


def test_an_ok_that_lay_with_the_provider_takes_nothing_that_opened_after_it(talk: Talk) -> None:
    written = talk.at(0).now
    talk.at(3600).sees(0)
    talk.dialogue.hear("chat", Reply(id="SM1", address="budi@chat", text="ok", at=written), talk.now)
    assert talk.desk.view.open[0].acked_by == ""
    assert talk.answered == [("which", "budi")]
    talk.dialogue.hear("chat", Reply(id="SM2", address="budi@chat", text=f"ok {talk.desk.view.open[0].code}",
                                     at=written), talk.now)
    assert talk.desk.view.open[0].acked_by == "budi", "a code is never a guess"


def test_while_nothing_can_be_written_down_an_answer_still_acts_once(
    talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> None:
        raise StoreError("attempt to write a readonly database")

    talk.at(0).sees(0)
    with monkeypatch.context() as broken:
        broken.setattr(talk.store, "commit", read_only)
        for _ in range(3):  # each poll brings it again
            talk.writes("tidak bisa", id="SM1")
    talk.desk.tick(talk.now)
    assert talk.counted == ["refuse"]
    assert talk.answered == [("refused", "budi")]


def test_a_store_that_cannot_be_read_lets_the_answer_act_later(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise StoreError("disk I/O error")

    talk.at(0).sees(0)
    with monkeypatch.context() as broken:
        broken.setattr(talk.store, "codes_of", unreadable)
        with pytest.raises(StoreError):
            talk.writes("ok", id="SM1", about="SMout")
    talk.writes("ok", id="SM1", about="SMout")
    assert talk.desk.view.open[0].acked_by == "budi"


def test_a_clock_that_was_set_back_makes_nobody_mute(talk: Talk) -> None:
    talk.at(0).sees(0)
    for hour in range(1, 13):
        talk.at(60 * hour).writes("siapa")
    talk.at(0).writes("ok")
    assert talk.desk.view.open[0].acked_by == "budi"


def test_a_stranger_who_is_polled_again_is_counted_once(talk: Talk) -> None:
    for _ in range(3):
        talk.writes("halo", who="stranger", id="SM1")
    assert talk.counted == ["stranger"]


@pytest.mark.parametrize(("group", "text", "taker", "answers"), [
    ("shop@chat", "ok", "budi", [("taken", "budi")]),
    ("shop@chat", "besok kita beli galon ya", "", []),
    ("family@chat", "ok", "", []),
    ("sari@chat", "ok", "", []),
])
def test_in_a_group_a_member_takes_and_is_not_told_that_talk_is_unclear(
    tmp_path: Path, group: str, text: str, taker: str, answers: list[tuple[str, str]]) -> None:
    talk = Talk(tmp_path)
    shop = Contact(name="shop", display="Toko", language="id", addresses={"chat": "shop@chat"}, channels=("chat",),
                   group=True)
    talk.policy = msgspec.structs.replace(talk.policy, contacts={**talk.policy.contacts, "shop": shop})
    talk.at(0).sees(0)
    talk.dialogue.hear("chat", Reply(id="SM1", address="budi@chat", text=text, at=talk.now, group=group), talk.now)
    assert (talk.desk.view.open[0].acked_by, talk.answered) == (taker, answers)
