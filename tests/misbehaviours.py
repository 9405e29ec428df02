"""The ways in which vendors, the network, the clock and the disk misbehave: a table of rows for `vendors_page.play`."""

from dataclasses import dataclass

from vendor_deeds import (
    Deed,
    blocks_the_bot,
    bot,
    both_phones,
    cut_after_data,
    dead_names,
    device,
    drops_out_unseen,
    fail,
    fill_disk,
    free_disk,
    gateway,
    manner,
    mended,
    old_news,
    phone,
    rcpt,
    read_only,
    set_clock,
    together,
    webhook,
    window_thought_open,
)
from vendor_stage import Stage

SOON, LATE = 300.0, 1200.0  # seconds until the fault of a row is over


@dataclass(frozen=True, kw_only=True)
class Row:
    """One misbehaviour. `begin` sets it up, `later` are deeds so many seconds after the fault, `over` is its end."""

    name: str
    begin: Deed = lambda stage: None
    later: tuple[tuple[float, Deed], ...] = ()
    first: str = "twilio"  # the channel that people are reached by …
    then: str = "email"  # … and the one after it
    over: float = SOON
    reached: float = 200.0  # by then at least one of the two must know
    ails: str = ""  # the incident about Jaga's own parts that must arise
    copies: int = 0  # how often a message may reach somebody again, under the same mark
    acks: int = 0  # how often somebody takes the problem
    callbacks: bool = False
    timeout: str = "0.5s"  # of the first channel
    tls: str = ""  # which channel's certificate has expired
    small_disk: bool = False


TWILIO = (
    Row(name="429 with `Retry-After: 60`, twice", begin=fail("429", 2, retry_after="60")),
    Row(name="429 without `Retry-After`, four times", begin=fail("429", 4)),
    Row(name="429 for as long as it lasts", begin=fail("429", 999), over=LATE, ails="notifier_failing twilio"),
    Row(name="500, once; nothing was taken", begin=fail("500")),
    Row(name="500 for as long as it lasts", begin=together(fail("500", 999), fail("500", 999, on="list")), over=LATE,
        ails="notifier_failing twilio"),
    Row(name="takes the request and never answers, once; nothing was taken", begin=fail("hang")),
    Row(name="never answers, for as long as it lasts", begin=together(fail("hang", 999), fail("hang", 999, on="list")),
        over=LATE, ails="notifier_failing twilio", timeout="0.05s"),
    Row(name="time-out after it was taken", begin=fail("accept-hang")),
    Row(name="500 after it was taken", begin=fail("accept-500")),
    Row(name="connection cut after it was taken", begin=fail("accept-reset")),
    Row(name="201 with half of a JSON", begin=fail("wrong-json")),
    Row(name="201 with a JSON that is not Twilio's", begin=fail("odd-json")),
    Row(name="201 with a body that is cut off", begin=fail("truncated")),
    Row(name="a captive portal answers 200 with its page", begin=fail("wrong-host")),
    Row(name="201, then 63016: the window was shut after all", begin=window_thought_open),
    Row(name="201, then 63024: not on WhatsApp", begin=phone(fail=63024), ails="notifier_refused budi twilio"),
    Row(name="201, then 63018 (too fast) for half a minute", begin=phone(fail=63018), later=((30.0, phone(fail=0)),),
        ails="notifier_refused budi twilio"),
    Row(name="201, then 63018 for ever", begin=phone(fail=63018), ails="notifier_refused budi twilio"),
    Row(name="the status never becomes final: Budi has blocked us, or his phone is off", begin=phone(blocked=True)),
    Row(name="the status never becomes final, for both of them", begin=both_phones(blocked=True), over=LATE),
    Row(name="201, and every question about the status is answered 500", begin=fail("500", 9999, on="fetch"),
        over=LATE),
    Row(name="401: the token is not Twilio's any more", begin=fail("refuse", 999, code=20003), over=LATE,
        ails="notifier_refused sari twilio"),
    Row(name='callback "undelivered" (63024) before the answer to the request',
        begin=together(manner(before_response=True), phone(fail=63024), fail("slow", seconds=0.3)), callbacks=True,
        timeout="5s", ails="notifier_refused budi twilio"),
    Row(name='callback "undelivered" (63024) twice',
        begin=together(manner(times=2), phone(fail=63024), fail("slow", seconds=0.3)), callbacks=True, timeout="5s",
        ails="notifier_refused budi twilio"),
    Row(name='callbacks late: "sent" and "undelivered" after "delivered"', begin=manner(), callbacks=True,
        later=((200.0, old_news("sent")), (220.0, old_news("undelivered")))),
)
TELEGRAM = tuple(Row(**row, first="telegram") for row in (  # type: ignore[arg-type]
    {"name": "429 with `retry_after` 30", "begin": bot("429", retry_after="30")},
    {"name": "429 without `retry_after`, four times", "begin": bot("429", 4)},
    {"name": "409: another program reads the bot's messages", "begin": bot("refuse", 999, on="fetch", code=409),
     "over": LATE, "ails": "notifier_deaf telegram"},
    {"name": "403: Budi has blocked the bot", "begin": blocks_the_bot, "ails": "notifier_refused budi telegram"},
    {"name": "401: the token is not Telegram's any more", "begin": bot("refuse", 999, code=401), "over": LATE,
     "ails": "notifier_refused sari telegram"},
    {"name": "500 after it was taken", "begin": bot("accept-500"), "copies": 1},
))
FONNTE = tuple(Row(**row, first="fonnte") for row in (  # type: ignore[arg-type]
    {"name": 'says `"status": true` of a device that is disconnected, for 10 minutes', "begin": device(False),
     "later": ((600.0, device(True)),), "over": LATE, "ails": "notifier_failing fonnte"},
    {"name": 'the device drops out after it was asked for, and `/send` says `"status": true` all the same',
     "begin": drops_out_unseen},
    {"name": "500 after it was taken", "begin": gateway("accept-500"), "copies": 1},
    {"name": "never answers, for as long as it lasts", "over": LATE, "ails": "notifier_failing fonnte",
     "begin": together(gateway("hang", 999), gateway("hang", 999, on="fetch")), "timeout": "0.05s"},
    {"name": 'the webhook with Budi\'s "ok" comes 15 times, once a minute', "over": LATE, "acks": 1,
     "later": tuple((60.0 * turn, webhook) for turn in range(2, 17))},
))
SMTP = tuple(Row(**row, first="email", then="twilio") for row in (  # type: ignore[arg-type]
    {"name": "greylisting: 451 for five minutes, then accepted", "begin": rcpt("451 4.7.1 greylisted", 300.0),
     "over": 400.0, "ails": "notifier_failing email"},
    {"name": "550: no such mailbox", "begin": rcpt("550 5.1.1 no such user", LATE),
     "ails": "notifier_refused budi email"},
    {"name": "the connection is cut after DATA, once; it was taken", "begin": cut_after_data(1), "copies": 1},
    {"name": "the connection is cut after DATA, every time; each was taken", "begin": cut_after_data(99), "copies": 3,
     "ails": "notifier_failing email"},
    {"name": "the certificate has expired, and is renewed after 10 minutes", "later": ((600.0, Stage.renew),),
     "tls": "email", "over": LATE, "ails": "notifier_refused budi email"},
))
AROUND = (
    Row(name="no name is found (DNS), for 10 minutes", begin=dead_names(600.0), over=LATE, reached=620.0,
        ails="notifier_failing twilio"),
    Row(name="Twilio (401) and the mail server (550) refuse everything, for 10 minutes", later=((600.0, mended),),
        begin=together(fail("refuse", 999, code=20003), rcpt("550 5.7.1 no", 600.0)), over=LATE, reached=930.0,
        ails="notifier_refused sari email"),
    Row(name="no name is found (DNS), for an hour", begin=dead_names(3600.0), over=4200.0, reached=3640.0,
        ails="outbox_stuck"),
    Row(name="Twilio's certificate has expired, and is renewed after 10 minutes", later=((600.0, Stage.renew),),
        tls="twilio", over=LATE, ails="notifier_failing twilio"),
    Row(name="the clock is set ahead by an hour while a message waits for its delivery", begin=phone(blocked=True),
        later=((60.0, set_clock(3600.0)),)),
    Row(name="the clock is set back by an hour while a message waits for its delivery", begin=phone(blocked=True),
        later=((60.0, set_clock(-3600.0)),)),
    Row(name="the clock is set ahead by an hour while it is not known whether a message was taken",
        begin=fail("accept-hang"), later=((8.0, set_clock(3600.0)),)),
    Row(name="the clock is set back by an hour while the channel pauses", begin=fail("429", retry_after="60"),
        later=((30.0, set_clock(-3600.0)),)),
    Row(name="the disk is full from before the fault, for 10 minutes", begin=fill_disk, later=((600.0, free_disk),),
        small_disk=True, over=LATE, ails="store_not_writable"),
    Row(name="the disk is full from a minute after the fault for 17 minutes, and Budi's phone is off",
        begin=phone(blocked=True), later=((60.0, fill_disk), (1080.0, free_disk)), small_disk=True, over=LATE,
        ails="store_not_writable"),
    Row(name="the database is read-only from before the fault, for 10 minutes", begin=read_only(True),
        later=((600.0, read_only(False)),), over=LATE, ails="store_not_writable"),
    Row(name="the database is read-only from a minute after the fault for 17 minutes, and Budi's phone is off",
        begin=phone(blocked=True), later=((60.0, read_only(True)), (1080.0, read_only(False))), over=LATE,
        ails="store_not_writable"),
)
TABLE = {"Twilio": TWILIO, "Telegram": TELEGRAM, "Fonnte": FONNTE, "SMTP": SMTP, "Network, clock and disk": AROUND}
