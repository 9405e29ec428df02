"""What people answer is understood, and nobody is said to have taken what they did not take."""

import random
import string
import time
import tomllib
from collections import Counter
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from alerts.phrases import LANGUAGES
from alerts.replies import Intent, understand
from alerts.text import fill
from alerts.vocabulary import slip, vocabulary

CORPUS = tomllib.loads((Path(__file__).parent / "replies.toml").read_text("utf-8"))
OPEN = tuple(CORPUS["open"])
TAKES = {"take", "take_all"}
ACTS = {*TAKES, "yes", "resolve", "silence", "giveback", "sign"}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reply of the corpus: what is given, and what is expected."""

    t: str
    truth: str
    codes: tuple[str, ...] = ()
    lasts: float | None = None
    near: str | None = None
    person: str | None = None
    open: tuple[str, ...] = OPEN
    people: tuple[str, ...] = ()
    payload: str = ""
    media: bool = False

    def heard(self) -> Intent:
        return understand(self.t, open_codes=self.open, payload=self.payload, media=self.media, people=self.people)

    def expected(self, heard: Intent) -> Intent:
        """What must come out; of an unclear one only what the corpus names."""
        vague = self.truth == "unclear"
        return Intent(verb=self.truth, codes=heard.codes if vague else self.codes, lasts=self.lasts,
                      near=heard.near if vague and self.near is None else self.near or "",
                      person=heard.person if vague and self.person is None else self.person or "")


def cases() -> list[Case]:
    written = ((verb, reply if isinstance(reply, dict) else {"t": reply})
               for verb, replies in CORPUS["replies"].items() for reply in replies)
    return [msgspec.convert({"truth": verb} | reply, Case) for verb, reply in written]


CASES = cases()
REFUSALS = [case for case in CASES if case.truth == "refuse" and not case.payload]
NOT_TAKES = [case for case in CASES if case.truth not in TAKES and not case.payload]


def test_the_corpus_is_large_and_names_no_reply_twice() -> None:
    given = Counter((case.t, case.open, case.people, case.payload, case.media) for case in CASES)
    assert (len(CASES) >= 320, [text for text, times in given.items() if times > 1]) == (True, [])


def test_no_reply_is_taken_for_an_acknowledgement_that_is_none() -> None:
    heard = [(case.t, case.truth, case.heard().verb) for case in NOT_TAKES]
    assert [each for each in heard if each[2] in TAKES or (each[2] == "yes" and each[1] != "yes")] == []


def test_no_refusal_is_lost() -> None:
    lost = [(case.t, case.heard().verb) for case in REFUSALS if case.heard().verb != "refuse"]
    assert lost == []


def test_every_reply_means_what_the_corpus_says() -> None:
    wrong = [(case, heard) for case in CASES if (heard := case.heard()) != case.expected(heard)]
    confusion = Counter((case.truth, heard.verb) for case, heard in wrong)
    lines = [f"{truth} heard as {verb}: {times}" for (truth, verb), times in confusion.most_common()]
    lines += [f"  {case.t!r} {case.truth}: {heard}" for case, heard in wrong]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(CASES)} replies misunderstood", *lines])


def test_no_word_of_the_vocabulary_has_two_meanings() -> None:
    assert vocabulary().doubles == []


POLITE = ["pak", "bu", "mas", "mbak", "kang", "ya", "ya pak", "🙏", "dong", "hehe", "maaf", "wkwk", "😭", "nih"]
MARKS = ["!", ".", "...", "!!", ",", " \u200b", "\u200f", "\n", "*", "\t"]
UNQUOTED = [case for case in NOT_TAKES if not set(">~") & set(case.t)]  # a quotation is one only at a line's beginning
CASINGS = [str, str.upper, str.lower, str.title, str.capitalize]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(UNQUOTED), st.sampled_from(CASINGS), st.lists(st.sampled_from(POLITE + MARKS), max_size=4),
       st.lists(st.sampled_from(POLITE + MARKS), max_size=4))
def test_case_punctuation_and_politeness_never_make_a_take(case: Case, cased, before, after) -> None:
    text = " ".join([*before, cased(case.t), *after])
    heard = understand(text, open_codes=case.open, people=case.people)
    assert heard.verb not in TAKES, text


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(REFUSALS), st.sampled_from(CASINGS), st.sampled_from(POLITE),
       st.sampled_from(["", ".", "!", "..."]))
def test_a_refusal_stays_one_however_politely_it_is_put(case: Case, cased, polite: str, mark: str) -> None:
    before = "" if polite.startswith("ya") else polite  # "ya gak" is something else
    for text in (f"{cased(case.t)}{mark} {polite}", f"{before} {cased(case.t)}{mark}"):
        assert understand(text, open_codes=case.open, people=case.people).verb == "refuse", text


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["ok", "siap pak", "ok K7M", "K7M", "saya tangani", "otw", "👍", "on it", "oke siap saya cek"]),
       st.sampled_from(["tidak bisa", "lagi cuti", "bukan saya", "i can't", "jangan saya", "belum bisa",
                        "tolong yang lain"]),
       st.sampled_from([" ", ", ", ". ", "\n", " tapi ", " but ", " - ", " / ", "! "]), st.booleans())
def test_a_take_and_a_refusal_together_are_a_refusal(take: str, refusal: str, between: str, turned: bool) -> None:
    text = between.join([refusal, take] if turned else [take, refusal])
    assert understand(text, open_codes=OPEN).verb == "refuse"


KNOWN = [*"?!.,~>@-/ \n\u200b", "ok", "K7M", "k7n", "tidak", "bisa", "saya", "siap", "1", "2j", "semua"]
WORDS = st.lists(st.one_of(st.sampled_from(KNOWN), st.text(max_size=6)), max_size=12).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), WORDS), st.sets(st.sampled_from(["K7M", "K7N", "P4Q", "AK7M", "", "x"])),
       st.text(max_size=30), st.booleans(), st.lists(st.text(max_size=12), max_size=3))
def test_whatever_comes_it_never_raises_and_names_codes_in_capitals(text, opened, payload, media, people) -> None:
    heard = understand(text, open_codes=opened, payload=payload, media=media, people=people)
    assert all(code == code.upper() for code in heard.codes)
    assert msgspec.convert(msgspec.to_builtins(heard), Intent) == heard


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["ok {}", "{}", "selesai {}", "diam {} 2j", "lanjut {}", "{} saya tangani", "eskalasi {}",
                        "ya {}"]),
       st.integers(0, 2), st.sampled_from(string.ascii_uppercase + string.digits))
@example("{}", 1, "O").via("a letter for a digit")
def test_a_code_with_a_slip_is_never_acted_upon(said: str, place: int, wrong: str) -> None:
    assume(place > 0 or wrong.isalpha())  # "57m" is a time, and no code begins with a digit
    code = "K7M"[:place] + wrong + "K7M"[place + 1:]
    heard = understand(said.format(code), open_codes=["K7M"])
    if code == "K7M":
        assert heard.codes == ("K7M",)
        assert heard.verb in ACTS | {"escalate"}
    else:
        assert (heard.verb, "K7M" in heard.codes) == ("unclear", False)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_our_own_words_sent_back_to_us_take_nothing(language: str) -> None:
    phrases = msgspec.structs.asdict(LANGUAGES[language])
    del phrases["mark"]  # "Kode K7M-1" is how a person names a code, too
    texts = chain.from_iterable([value] if isinstance(value, str) else
                                value.values() if isinstance(value, dict) else value for value in phrases.values())
    values = {"code": "K7M", "about": "K7M Disk / terisi 93 %", "who": "Budi", "mark": "K7M-1"}
    filled = [fill(text, values) for text in texts]
    taken = [text for text in filled if understand(text, open_codes=OPEN).verb in TAKES]
    assert taken == []


@pytest.mark.parametrize("text", [
    "a" * 10_000, "ok " * 3_400, "1" * 10_000, "~" * 10_000, "@" * 10_000, "k 7 " * 2_500, "K7M-" * 2_500,
    "👍" * 10_000, "\u0301" * 10_000, "ﷺ" * 10_000, "tidak bisa " * 1_000, "'" * 10_000, "a'" * 5_000,
    "on " * 3_000 + "wrote:", "> x\n" * 2_500,
    "wk" * 5_000, "1,1" * 3_300, "-" * 10_000, "\n" * 10_000,
], ids=lambda text: ascii(text[:4]))
def test_ten_thousand_characters_are_read_at_once_and_take_nothing(text: str) -> None:
    began = time.perf_counter()
    heard = understand(text, open_codes=OPEN)
    assert (time.perf_counter() - began < 0.5, heard.verb in ACTS) == (True, False)


def test_an_answer_is_understood_within_a_few_milliseconds() -> None:
    chosen = random.Random(3).sample(CASES, 100)
    began = time.perf_counter()
    for case in chosen:
        case.heard()
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(("one", "other", "apart"), [
    ("k7m", "k7m", False), ("k7m", "k7n", True), ("k7m", "km7", True), ("k7m", "k7", True), ("k7m", "k7mm", True),
    ("k7m", "7m", True),
    ("k7m", "p4q", False), ("k7m", "k", False), ("", "k", True), ("abcd", "badc", False),
])
def test_one_slip_is_a_letter_too_few_too_many_wrong_or_swapped(one: str, other: str, apart: bool) -> None:
    assert (slip(one, other), slip(other, one)) == (apart, apart)
