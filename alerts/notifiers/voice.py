"""A telephone call by Twilio: it wakes, and reads the incident out; the answer goes by chat."""

import re
from html import escape
from typing import Any, ClassVar

import msgspec

from alerts.notification import Letter, Proof, Receipt, Status
from alerts.notifiers.speech import paragraphs
from alerts.notifiers.twilio_line import API, client
from collectors.quantities import Seconds
from collectors.secret import Secret

RING = 45  # seconds; Twilio may ring five more. Long enough to wake, short of many a voicemail
LONGEST = 180  # seconds that a call may last: a machine does not hang up
# Twilio waits for the first word, to tell a person from a machine. Somebody half asleep says none: not more than these.
DETECT, SILENCE = 10, 3000  # seconds in all; milliseconds of silence at the beginning
HEARD = 5  # seconds; whoever hangs up before that has heard nothing
MOST_REPEATS = 3  # more does not fit into the 4,000 characters that Twilio takes (32018)
LANGUAGES = {"id": ("id-ID", "Google.id-ID-Wavenet-A"), "en": ("en-US", "Polly.Joanna")}  # and who speaks it
_SHAPES = {"account_sid": ("AC[0-9a-fA-F]{32}", '"AC" and 32 digits or letters a to f'),
           "api_key": ("SK[0-9a-fA-F]{32}", '"SK" and 32 digits or letters a to f'),
           "caller": (r"\+[1-9]\d{6,14}", '"+12025550123", a number of the Twilio account'),
           "base_url": (r"https?://[^/\s]+", f'"{API}"')}
_NOT_YET = ("queued", "initiated", "ringing", "in-progress")
_NOBODY = ("busy", "no-answer")
_FAILURES = {"busy": ("the line is busy, or the call was declined", True),  # and whether another try may help
             # A phone that does not disturb lets the second call within a few minutes through.
             "no-answer": ("nobody picked up", True),
             "failed": ("the call could not be put through: is the number right, and its phone switched on?", False),
             "canceled": ("the call was cancelled at Twilio", False)}


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """Calls the contact's `phone` through Twilio and reads the incident out. Name it in steps for critical ones only.

    `caller` is a number of the account that may call, "+1…". With `api_key` (SK…), `auth_token` holds the key's secret.
    `speakers` replaces a voice: `{id = "Google.id-ID-Wavenet-B"}`. The text is read `repeat` times. See docs/voice.md.
    """

    # Delivered: a person picked up and listened. Without `find`: a call carries no mark, and no list tells one call to
    # a number from the one before it. In doubt it rings twice, which is better than never.
    proof: ClassVar[Proof] = Proof.DELIVERED
    address: ClassVar[str] = "phone"

    account_sid: str
    auth_token: Secret
    caller: str
    api_key: str = ""
    speakers: dict[str, str] = {}
    repeat: int = 2
    base_url: str = API
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        for field, (shape, example) in _SHAPES.items():
            given = getattr(self, field)
            if (given or field != "api_key") and not re.fullmatch(shape, given):
                raise ValueError(f"{field} is not what Twilio uses: it looks like {example}")
        for language, speaker in self.speakers.items():
            if language not in LANGUAGES or not re.fullmatch(r"[A-Za-z][\w.-]{1,60}", speaker):
                raise ValueError('speakers must be Twilio\'s voices by language: {id = "Google.id-ID-Wavenet-A"}')
        if not 1 <= self.repeat <= MOST_REPEATS:
            raise ValueError(f"repeat must be from 1 to {MOST_REPEATS}: how often the text is read")
        if self.timeout <= 0:
            raise ValueError('timeout must be more than 0: write "10s"')

    def send(self, letter: Letter) -> Receipt:
        call = self._client.calls.create(
            to=letter.to, from_=self.caller, twiml=self.twiml(letter), timeout=RING, time_limit=LONGEST,
            machine_detection="Enable", machine_detection_timeout=DETECT, machine_detection_silence_timeout=SILENCE)
        return Receipt(call.sid)

    def status(self, id: str) -> Status:
        call = self._client.calls(id).fetch()
        if call.status in _NOT_YET:
            return Status(Proof.ACCEPTED)
        if call.status != "completed":
            words, again = _FAILURES.get(call.status, (f"the call ended as {call.status}", False))
            return Status(failed=words, retry=again, unreached=call.status in _NOBODY)
        return _answered(call.answered_by or "", int(call.duration or 0))

    def twiml(self, letter: Letter) -> str:
        """What Twilio is to do when somebody picks up. Sent along, so that no public address is needed."""
        language = letter.language if letter.language in LANGUAGES else "id"
        locale, speaker = LANGUAGES[language]
        speaker = self.speakers.get(language, speaker)
        says = [f'<Say language="{locale}" voice="{escape(speaker)}">{escape(text)}</Say>'
                for text in paragraphs(letter)]
        once = '<Pause length="1"/>' + '<Pause length="1"/>'.join(says)
        return f"<Response>{once * self.repeat}</Response>"

    @property
    def _client(self) -> Any:
        return client(self.base_url, self.account_sid, self.api_key, self.auth_token, self.timeout)


def _answered(by: str, seconds: int) -> Status:
    """Somebody or something picked up. Only a person who stayed on the line has been told."""
    if by.startswith("machine") or by == "fax":
        return Status(failed="a machine picked up, not a person", unreached=True)
    if seconds < HEARD:
        return Status(failed="picked up and hung up before a word was heard", retry=True, unreached=True)
    if by == "human":
        return Status(Proof.DELIVERED)
    return Status(failed="picked up in silence: not known whether a person heard it", unreached=True)
