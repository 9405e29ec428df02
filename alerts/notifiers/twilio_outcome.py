"""What became of a WhatsApp message at Twilio: its status and error code as proof or failure, and what to do about it.

Shared by the question (`Twilio.status`) and the callback (`twilio_hooks.outcome`), so that both say the same.
"""

from alerts.notification import Proof, Status

PROOF = {"delivered": Proof.DELIVERED, "read": Proof.READ}  # any other status that has not failed: Twilio has it
FAILED = ("failed", "undelivered", "canceled")
WAY = ("accepted", "scheduled", "queued", "sending", "sent", *PROOF)
# The content was refused, not the message: the fall-back template, which carries codes alone, may pass.
CONTENT_REFUSED = {"21617", "21619", "21654", "21655", "21656", "92007", "63005", "63013", "63021", "63027", "63028",
                   "63040", "63041", "63042"}
LATER = {30001, 30008, 63010, 63012, 63018}  # errors on an accepted message that another try may mend
WINDOW_SHUT = 63016
# "Users should not use the error_code and error_message fields programmatically", says Twilio: what is not here failed.
MEANING = {
    30001: "Twilio's queue overflowed", 30008: "unknown error at the carrier",
    63003: "the number cannot receive: compare the contact's whatsapp number with the phone's own",
    63010: "trouble inside Twilio", 63012: "trouble inside WhatsApp", 63013: "WhatsApp's policy forbids the content",
    63015: 'the phone has not joined the sandbox, or dropped out after three days: send "join <code>" from it to the '
           "sandbox number, or use a sender of your own",
    63016: "the 24-hour window is shut: only a template may be sent", 63018: "too many messages in a short time",
    63021: "the message is too long or invalid",
    63024: "the number is not on WhatsApp: correct the contact's whatsapp number, or install WhatsApp on that phone",
    63028: "the template takes another number of variables",
    63032: "WhatsApp does not let us write to this person: give the contact another channel",
    63033: "the person has blocked us: unblock our number in that phone's WhatsApp",
    63040: "WhatsApp rejected the template: jaga whatsapp templates --status tells why",
    63041: "the template is paused, for too many people complained: jaga whatsapp templates --status",
    63042: "the template is disabled for good: submit another",
    63051: "the WhatsApp business account is locked: look at Meta's Business Manager",
}


def judged(status: str, code: int = 0, said: str = "", *, fallback: bool = False) -> Status:
    """The status of an accepted message, and its error code (0: none) with Twilio's own words, as the outbox takes it.

    `fallback`: there is a template that carries codes alone, so refused content may go out once more as that.
    """
    if status not in FAILED:
        return Status(PROOF.get(status, Proof.ACCEPTED))
    words = MEANING.get(code) or said or status
    return Status(failed=f"{code or ''} {words}".strip(), retry=code in LATER, needs_template=code == WINDOW_SHUT,
                  content_refused=fallback and str(code) in CONTENT_REFUSED)
