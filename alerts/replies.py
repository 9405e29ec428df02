"""What an answer means: text in, intent out. Pure; the words are data (`alerts/vocabulary.toml`).

The rule above all others: no wrong acknowledgement. What might not be a take is `unclear`, and is answered with help.
A refusal in any part of an answer beats everything else in it. `docs/replies.md` has the grammar.
"""

import re
from collections.abc import Callable, Collection, Set
from typing import Literal

import msgspec

from alerts.listening import Answer, Clause, own_words, read, valid
from alerts.vocabulary import UNKNOWN, Word, vocabulary

Verb = Literal["take", "take_all", "refuse", "status", "who", "silence", "giveback", "escalate", "resolve", "help",
               "sign", "yes", "unclear", "chatter"]

_NO = {"no", "not_yet", "is_not", "do_not"}
_SOFT = {"courtesy", "emoji", "laugh", "person"}  # may stand anywhere and changes nothing
_ACTS: tuple[Verb, ...] = ("silence", "giveback", "escalate", "resolve")
_PLAIN_TAKE = _SOFT | {"assent", "take", "move", "work", "grab", "me", "code", "label", "yes", "filler", "this", "mild",
                       "thanks", "greet"}
_DI = ("di", "me", "ng", "ny", "ter")  # an unknown word that begins so is a verb, and may say anything


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants. A named code may be one that is not open (any more): never act on another in its place."""

    verb: Verb
    codes: tuple[str, ...] = ()  # incident codes named, in capitals, in the order of the answer
    lasts: float | None = None  # seconds, for silence; None: not said
    near: str = ""  # unclear: the nearest known word or open code, or "media"; sign: the rows as typed, parted by ", "
    person: str = ""  # on a shared phone: whose answer it is


def understand(text: str, *, open_codes: Collection[str], payload: str = "", media: bool = False,
               people: Collection[str] = ()) -> Intent:
    """The intent of one answer. Never raises.

    `payload` is a tapped button's data and beats the text; `people` are the names that a shared phone's answers may
    hold; `media` says that there was more than text (a voice note, a picture), which matters where there is no text.
    """
    codes = {code.upper() for code in open_codes}
    tapped, named = _tapped(payload)
    if tapped:
        return tapped
    if media and not own_words(text).strip():
        return Intent(verb="unclear", near="media")
    intent = _decide(read(text, codes, people, vocabulary()))
    if named and not intent.codes and intent.verb in {"take", "refuse", "yes", *_ACTS}:
        return msgspec.structs.replace(intent, codes=named)
    return intent


def _tapped(payload: str) -> tuple[Intent | None, tuple[str, ...]]:
    """A button's data, as "ack_K7M-1", "silence:K7M:2h" or "K7M-1": the intent where a verb is in it, and the codes."""
    first, *rest = re.split(r"[^a-z0-9]+", payload.casefold()[:200].strip(" /{}[]\"'")) or [""]
    verb = vocabulary().payload.get(first, "")
    codes = tuple(dict.fromkeys(each.upper() for each in (rest if verb else (first, *rest)) if valid(each.upper())))
    if not verb:
        return None, codes
    lasts = read(" ".join(rest), (), (), vocabulary()).seconds if verb == "silence" else None
    near = " ".join(rest) if verb == "sign" else ""
    return Intent(verb=verb, codes=() if verb == "sign" else codes, lasts=lasts, near=near), codes


class _Heard:
    """An answer, ready for the questions that the grammar asks."""

    def __init__(self, answer: Answer) -> None:
        self.clauses, self.words = answer.clauses, answer.words
        self.kinds = {word.kind for word in self.words}
        self.order = [word.kind for word in self.words]
        self.codes = _codes(self.words)
        self.seconds = answer.seconds
        self.asked = "question" in self.kinds or any(clause.asks for clause in self.clauses)
        people = list(dict.fromkeys(word.text for word in self.words if word.kind == "person"))
        self.person = people[0] if len(people) == 1 else ""
        self.crowd = len(people) > 1
        self.ready = any(word.kind == "assent" and "siap" in word.text for word in self.words)
        self.strangers = [word for word in self.words if word.kind in {UNKNOWN, "number"}]
        self.near = next((word.near for word in self.words if word.near and word.kind in {UNKNOWN, "doubt"}), "")

    def only(self, *kinds: str) -> bool:
        """Whether the answer holds nothing but these kinds and what changes nothing."""
        return self.kinds <= _SOFT | set(kinds)

    def before(self, first: Set[str], then: Set[str]) -> bool:
        """Whether a word of the kinds `first` stands before the first one of `then`."""
        at = next((at for at, kind in enumerate(self.order) if kind in then), len(self.order))
        return any(kind in first for kind in self.order[:at])

    def says(self, verb: Verb) -> Intent:
        lasts = self.seconds if verb == "silence" else None
        return Intent(verb=verb, codes=self.codes, lasts=lasts, person=self.person)


def _decide(answer: Answer) -> Intent:
    if answer.garbled:
        return Intent(verb="unclear", near=answer.slip)
    heard = _Heard(answer)
    if refused := _refusal(heard):
        return refused
    if answer.too_long:
        return Intent(verb="unclear")
    for judge in (_asking, _signing, _acting, _yes, _taking):
        if intent := judge(heard):
            return intent
    small_talk = heard.only("greet", "thanks", "filler", "me", "yes", "this", "loose") and heard.kinds & {
        "greet", "thanks", "laugh"}
    return Intent(verb="chatter") if small_talk else Intent(
        verb="unclear", codes=heard.codes, near=heard.near, person=heard.person)


def _codes(words: Collection[Word]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.text for word in words if word.kind == "code"))


def _refusal(heard: _Heard) -> Intent | None:
    """Refused codes are those of the refusing clauses, or all of the answer where these name none."""
    refusing = [clause for clause in heard.clauses if _refuses(clause)]
    claims = heard.kinds & {"assent", "take", "move", "work", "grab", *_ACTS, "done", "sudah", "doubt", "good"}
    if not refusing and not claims and not heard.asked:
        refusing = [clause for clause in heard.clauses if _bare_no(clause)]
    if not refusing:
        return None
    codes = tuple(dict.fromkeys(code for clause in refusing for code in _codes(clause.words)))
    verb: Verb = "escalate" if "escalate" in heard.kinds and heard.codes else "refuse"
    return Intent(verb=verb, codes=codes or heard.codes, person=heard.person)


def _bare_no(clause: Clause) -> bool:
    kinds = [word.kind for word in clause.words]
    plain = set(kinds) <= _SOFT | {"no", "me", "code", "all", "thanks", "greet", "this", "yes"}
    return plain and "no" in kinds and "yes" not in kinds[:kinds.index("no")]  # "tidak ya"; "ya gak" asks for assent


def _refuses(clause: Clause) -> bool:
    """Whether a clause says that the writer does not do it. "kenapa tidak bisa?" and "web tidak bisa dibuka" do not."""
    kinds = [word.kind for word in clause.words]
    asks = clause.asks or "question" in kinds or "who" in kinds
    denied = ""
    for at, kind in enumerate(kinds):
        if kind == "pass_on" and not denied:
            return True
        if kind in _NO:
            denied = "" if denied else kind
        elif kind == "refuse" and not denied:
            return not asks or ("me" in kinds and "question" not in kinds)
        elif kind == "able" and denied:
            if not _of_a_thing(kinds, at) and (not asks or ("me" in kinds and "question" not in kinds)):
                return True
            denied = ""
        elif kind in {"take", "work", "grab", "duty", "who"} and denied in {"no", "is_not", "do_not"}:
            if not asks and "not_yet" not in kinds and (
                    "me" in kinds or kind == "take" or (kind == "duty" and UNKNOWN not in kinds)):
                return True
            denied = ""
        elif kind not in _SOFT | {"me", "filler", "mild", "loose", "code", "sudah", "yes"}:
            denied = ""
    return False


def _of_a_thing(kinds: list[str], able: int) -> bool:
    """Whether "tidak bisa" at this place is said of a server or a printer."""
    after = next((kind for kind in kinds[able + 1:] if kind not in _SOFT | {"loose", "filler"}), "")
    no = max(at for at in range(able) if kinds[at] in _NO)
    subject = set(kinds[:no])
    return after in {"symptom", "row", "good"} or bool(
        subject & {UNKNOWN, "thing", "row", "other", "status"} and "me" not in subject)


def _asking(heard: _Heard) -> Intent | None:
    """Harmless commands and questions; what else is asked is unclear."""
    if "anyone" in heard.kinds and heard.asked and not heard.kinds & {*_ACTS, "refuse", "pass_on"}:
        return heard.says("status")
    if not heard.kinds & {*_ACTS, *_NO, "refuse", "pass_on"} and len(heard.strangers) <= 4:
        verbs: tuple[Verb, ...] = ("who", "status", "help")
        for verb in verbs:
            if verb in heard.kinds:
                return heard.says(verb)
        if heard.asked and heard.codes and heard.only("code", "label", "this"):
            return heard.says("status")
    if heard.asked:
        return Intent(verb="unclear", codes=heard.codes, near=heard.near, person=heard.person)
    return None


def _signing(heard: _Heard) -> Intent | None:
    """Rows of the morning's digest: "1 ok", "printer sudah", "1 2 ok". The row comes first."""
    good = {"assent", "good", "done", "resolve"}
    rows = [word.text for word in heard.words if word.kind in {"row", "number"}]
    if not rows or not heard.kinds & {*good, "sudah"} or not heard.only("row", "number", "sudah", "filler", *good):
        return None
    told = [kind in {"row", "number"} for kind in heard.order if kind not in _SOFT | {"filler"}]
    if not told[0] or told[-1] or any(len(row) > 5 and row.isdecimal() for row in rows):
        return None
    numbers = [each for row in rows for each in (re.split("[.,]", row) if row[0].isdecimal() else [row])]
    return Intent(verb="sign", near=", ".join(numbers), person=heard.person)


def _acting(heard: _Heard) -> Intent | None:
    """Commands that change something, each on its own terms. Two of them, a "not" or a doubt: unclear."""
    kinds = set(heard.kinds)
    if (heard.codes and "sudah" in kinds and (kinds & {"good", "done"})) or (heard.codes and "done" in kinds):
        kinds.add("resolve")
    acts = [verb for verb in _ACTS if verb in kinds]
    if len(acts) != 1:
        return None if not acts else _unclear(heard)
    terms: dict[str, Callable[[], bool]] = {
        "silence": lambda: not kinds & {"assent", "all", "resolve", "done"},
        "giveback": lambda: bool(heard.codes) or heard.only("giveback", "me", "filler"),
        "escalate": lambda: not kinds & {"all"},
        "resolve": lambda: not kinds & {"mild", "all", "loose", "still", "span"} and (
            len(heard.codes) == 1 or not kinds & {"assent"}) and (
            bool(heard.codes) or heard.only("resolve", "me", "sudah", "filler")),
    }
    forbidden = {*_NO, "fine", "take", "move", "grab", "work", "anyone"}
    forbidden |= ({"doubt"} if acts[0] != "silence" else set()) | ({"other"} if acts[0] != "escalate" else set())
    known = len(heard.strangers) <= (1 if heard.codes else 0) and not any(map(_like_a_verb, heard.strangers))
    if known and not kinds & forbidden and not heard.crowd and terms[acts[0]]():
        return heard.says(acts[0])
    return _unclear(heard)


def _unclear(heard: _Heard) -> Intent:
    return Intent(verb="unclear", codes=heard.codes, near=heard.near, person=heard.person)


def _yes(heard: _Heard) -> Intent | None:
    """ "ya", "masih saya tangani": the answer to "masih ditangani?"."""
    doing = ("me", "code", "filler", "take", "grab", "work", "move", "loose")
    if "still" in heard.kinds and heard.only("still", "yes", *doing):
        return heard.says("yes")
    if "yes" in heard.kinds and heard.only("yes", "code", "greet"):
        return heard.says("yes")
    return None


def _taking(heard: _Heard) -> Intent | None:
    kinds = heard.kinds
    does = kinds & {"work", "grab"}
    explicit = bool(kinds & {"take", "move"} or (does and "me" in kinds) or (heard.codes and "grab" in kinds)
                    or (does and heard.ready and heard.before({"assent"}, does)))
    allowed = set(_PLAIN_TAKE) | {"all", UNKNOWN, "number"}
    if explicit:
        allowed |= {"loose", "thing", "able", "duty"} | ({"span"} if "move" in kinds else set())
        allowed |= {"sudah"} if kinds & {"take", "move", "grab"} else set()
    if not kinds <= allowed or heard.crowd or not _tolerable(heard):
        return None
    if not explicit and not _bare_take(heard):
        return None
    if "all" in kinds:
        return _taking_all(heard, explicit)
    return heard.says("take")


def _tolerable(heard: _Heard) -> bool:
    """One unknown word, where all else is plain: after "ok K7M" or "saya tangani"; before it, it may be who does it."""
    firm = "take" in heard.kinds or bool(heard.codes and "assent" in heard.kinds)
    room = 1 if firm and "all" not in heard.kinds else 0
    return len(heard.strangers) <= room and not any(map(_like_a_verb, heard.strangers)) and not heard.before(
        {UNKNOWN}, {"assent", "take", "move", "work", "grab"})


def _like_a_verb(word: Word) -> bool:
    return word.kind == UNKNOWN and len(word.text) > 4 and (word.text.startswith(_DI) or word.text.endswith("kan"))


def _bare_take(heard: _Heard) -> bool:
    """ "ok", "siap pak", "ok K7M", "K7M": nothing before the ok that it may be said of, no thanks for the news."""
    kinds = heard.kinds
    if heard.codes and "assent" not in kinds:
        return heard.only("code", "label", "me", "greet") and not _after(heard, "greet", "code")
    if "assent" not in kinds or "work" in kinds or "grab" in kinds:
        return False
    if heard.codes:
        return not heard.before({"all", "this", "thing"}, {"assent"})
    return not kinds & {"thanks", "this", "mild"} and not heard.before(
        {"filler", "label", "all", "me"}, {"assent"}) and not _after(heard, "greet", "assent")


def _after(heard: _Heard, kind: str, other: str) -> bool:
    """Whether `kind` comes after the first `other`."""
    return other in heard.order and kind in heard.order[heard.order.index(other):]


def _taking_all(heard: _Heard, explicit: bool) -> Intent | None:
    """ "ok semua", "semua saya tangani"; but "semua ok" says that all is well."""
    if heard.codes or (heard.before({"all"}, {"assent"}) and not explicit) or heard.kinds & {"loose", "thing", "greet"}:
        return None
    return heard.says("take_all")
