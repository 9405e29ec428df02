"""People answer, and the right thing happens once."""

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from alerts.dialogue import Dialogue
from alerts.notification import Answer, Notification, Reply
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
    talk.writes("ok sari")
    assert talk.desk.view.open[0].acked_by == "Sari"
