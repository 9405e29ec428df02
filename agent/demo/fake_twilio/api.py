"""What the fake Twilio answers: Twilio's own paths, and under `/_fake/` what only a fake has."""

import base64
import hmac
import re
from collections.abc import Callable
from typing import Any

import msgspec

from agent.demo.fake_twilio import calls, shapes, verdicts
from agent.demo.fake_twilio.faults import Fault, Plan
from agent.demo.fake_twilio.ledger import Account, Call, Ledger, Message, Person, Template
from agent.demo.fake_twilio.posts import Manner, Postman, inbound_params, status_params
from agent.demo.fake_twilio.verdicts import Refusal

MAX_PAGE = 1000


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request, its body already read."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    authorization: str
    body: bytes
    form: dict[str, str]
    base_url: str

    @property
    def kind(self) -> str:
        if re.fullmatch(r"/2010-04-01/Accounts/\w+/(Messages|Calls)\.json", self.path):
            return "create" if self.method == "POST" else "list"
        return "fetch"


Answer = tuple[int, Any]


class Api:
    """Twilio's paths over a ledger. `answer` returns status and JSON; it raises Refusal."""

    def __init__(self, ledger: Ledger, plan: Plan, postman: Postman) -> None:
        self.ledger, self.plan, self.postman = ledger, plan, postman
        ledger.on_status = self._call_back
        self._routes: list[tuple[str, str, Callable[..., Answer]]] = [
            ("POST", r"/2010-04-01/Accounts/(\w+)/Messages\.json", self._create),
            ("GET", r"/2010-04-01/Accounts/(\w+)/Messages\.json", self._list),
            ("GET", r"/2010-04-01/Accounts/(\w+)/Messages/(\w+)\.json", self._fetch),
            ("GET", r"/2010-04-01/Accounts/(\w+)/Balance\.json", self._balance),
            ("POST", r"/2010-04-01/Accounts/(\w+)/Calls\.json", self._call),
            ("GET", r"/2010-04-01/Accounts/(\w+)/Calls/(\w+)\.json", self._fetch_call),
            ("POST", r"/v1/Content", self._new_content),
            ("GET", r"/v1/Content", self._all_content),
            ("GET", r"/v1/Content/(\w+)", self._content),
            ("POST", r"/v1/Content/(\w+)/ApprovalRequests/whatsapp", self._ask_approval),
            ("GET", r"/v1/Content/(\w+)/ApprovalRequests", self._approval),
            ("GET", r"/_fake/messages", self._fake_messages),
            ("GET", r"/_fake/posts", lambda request: (200, msgspec.to_builtins(self.postman.posts))),
            ("GET", r"/_fake/calls", lambda request: (200, msgspec.to_builtins(self.ledger.calls()))),
            ("POST", r"/_fake/(inbound|tap|misbehave|advance|advance-call|person|template|account|callbacks)",
             self._fake),
        ]

    @property
    def account(self) -> Account:
        return self.ledger.books.account

    def answer(self, request: Request) -> Answer:
        for method, pattern, handler in self._routes:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                if not request.path.startswith("/_fake/"):
                    self._authenticate(request)
                if request.path.startswith("/2010-04-01/") and found[1] != self.account.sid:
                    raise Refusal(20404, request.path)
                return handler(request, *found.groups()[1 if request.path.startswith("/2010-04-01/") else 0:])
        raise Refusal(20404, request.path)

    def _authenticate(self, request: Request) -> None:
        scheme, _, encoded = request.authorization.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).decode() if scheme == "Basic" else ""
        except ValueError:
            given = ""
        pairs = {self.account.sid: self.account.token, **self.account.keys}
        if not any(hmac.compare_digest(given, f"{user}:{word}") for user, word in pairs.items()):
            raise Refusal(20003)

    # --- messages

    def _create(self, request: Request) -> Answer:
        if request.content_type.split(";")[0] != "application/x-www-form-urlencoded":
            raise Refusal(20415)
        message = self.accept(request.form)
        return 201, shapes.message(self.account, message)

    def accept(self, form: dict[str, str]) -> Message:
        """Record one message, or raise Refusal."""
        with self.ledger.lock:
            books, now = self.ledger.books, self.ledger.clock()
            verdicts.check(form, books)
            template = books.templates.get(form.get("ContentSid", ""))
            values = verdicts.variables(template, form) if template else {}
            message = Message(
                sid=self.ledger.new_sid("SM" if not template else "MM"), to=form["To"], sender=form.get("From", ""),
                service=form.get("MessagingServiceSid", ""),
                status="accepted" if form.get("MessagingServiceSid") else "queued", created=now, updated=now,
                body=verdicts.substituted(template, values) if template else form["Body"],
                content_sid=form.get("ContentSid", ""), variables=values,
                validity=int(form.get("ValidityPeriod", "36000")), callback=form.get("StatusCallback", ""))
            self.ledger.put(message := msgspec.structs.replace(message, ahead=verdicts.fate(message, books, now)))
        self._call_back(message, now=self.postman.manner.before_response)
        return message

    def _call_back(self, message: Message, *, now: bool = False) -> None:
        if message.callback:
            self.postman.post(self.account, message.callback, status_params(self.account, message), now=now)

    def _list(self, request: Request) -> Answer:
        query = request.query
        if not query.get("PageSize", "50").isdigit() or not 1 <= int(query.get("PageSize", "50")) <= MAX_PAGE:
            raise Refusal(20007)
        if unknown := sorted(query.keys() - {"To", "From", "DateSent", "DateSent>", "DateSent<", "PageSize", "Page",
                                             "PageToken"}):
            raise Refusal(20001, ", ".join(unknown))
        rows = [m for m in reversed(self.ledger.messages()) if _wanted(m, query)]
        return 200, shapes.message_list(self.account, rows, query)

    def _fetch(self, request: Request, sid: str) -> Answer:
        for message in self.ledger.messages():
            if message.sid == sid:
                return 200, shapes.message(self.account, message)
        raise Refusal(20404, request.path)

    def _balance(self, request: Request) -> Answer:
        return 200, {"account_sid": self.account.sid, "balance": self.account.balance,
                     "currency": self.account.currency}

    # --- voice calls

    def _call(self, request: Request) -> Answer:
        if request.content_type.split(";")[0] != "application/x-www-form-urlencoded":
            raise Refusal(20415)
        form = request.form
        with self.ledger.lock:
            calls.check(form, self.ledger.books)
            now = self.ledger.clock()
            call = Call(sid=self.ledger.new_sid("CA"), to=form["To"], sender=form["From"], twiml=form["Twiml"],
                        detects="MachineDetection" in form, created=now, updated=now,
                        ring=int(form.get("Timeout", "60")))
            self.ledger.put_call(msgspec.structs.replace(call, ahead=calls.fate(call, self.ledger.books, now)))
        return 201, calls.shape(self.account, call, shapes.date)

    def _fetch_call(self, request: Request, sid: str) -> Answer:
        for call in self.ledger.calls():
            if call.sid == sid:
                return 200, calls.shape(self.account, call, shapes.date)
        raise Refusal(20404, request.path)

    # --- content templates (Twilio: another host, content.twilio.com)

    def _template(self, request: Request, sid: str) -> Template:
        if sid not in self.ledger.books.templates:
            raise Refusal(20404, request.path)
        return self.ledger.books.templates[sid]

    def _keep(self, template: Template) -> Template:
        with self.ledger.lock:
            self.ledger.books.templates[template.sid] = template
            self.ledger.save()
        return template

    def _new_content(self, request: Request) -> Answer:
        try:
            given = msgspec.json.decode(request.body, type=dict[str, Any])
            template = msgspec.convert({**given, "sid": self.ledger.new_sid("HX")}, Template)
        except msgspec.DecodeError:
            raise Refusal(20422, "Content") from None
        return 201, shapes.content(self.account, self._keep(template), request.base_url)

    def _all_content(self, request: Request) -> Answer:
        size, page = int(request.query.get("PageSize", "50")), int(request.query.get("Page", "0"))
        found = list(self.ledger.books.templates.values())

        def url(number: int) -> str:
            return f"{request.base_url}/v1/Content?PageSize={size}&Page={number}"

        meta = {"page": page, "page_size": size, "first_page_url": url(0), "url": url(page), "key": "contents",
                "previous_page_url": url(page - 1) if page else None,
                "next_page_url": url(page + 1) if len(found) > (page + 1) * size else None}
        rows = [shapes.content(self.account, t, request.base_url) for t in found[page * size:(page + 1) * size]]
        return 200, {"contents": rows, "meta": meta}

    def _content(self, request: Request, sid: str) -> Answer:
        return 200, shapes.content(self.account, self._template(request, sid), request.base_url)

    def _ask_approval(self, request: Request, sid: str) -> Answer:
        template = self._template(request, sid)
        given = msgspec.json.decode(request.body, type=dict[str, Any])
        verdicts.check_approval(template, given)
        fault = verdicts.template_fault(template)
        template = self._keep(msgspec.structs.replace(
            template, name=given.get("name", ""), category=given.get("category", ""),
            status="rejected" if fault else "received", rejection_reason=fault))
        return 201, shapes.whatsapp_approval(template)

    def _approval(self, request: Request, sid: str) -> Answer:
        return 200, shapes.approval(self.account, self._template(request, sid), request.base_url)

    # --- what only a fake has

    def _fake_messages(self, request: Request) -> Answer:
        """All that was accepted. `?at_least=3&timeout=10` waits for the third outbound message."""
        wanted, timeout = int(request.query.get("at_least", "0")), float(request.query.get("timeout", "0"))
        with self.ledger.lock:
            self.ledger.lock.wait_for(lambda: len(outbound(self.ledger.messages())) >= wanted, min(timeout, 60.0))
        return 200, msgspec.to_builtins(self.ledger.messages())

    def _fake(self, request: Request, deed: str) -> Answer:
        given = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
        with self.ledger.lock:
            books = self.ledger.books
            match deed:
                case "inbound":
                    return 200, msgspec.to_builtins(self.inbound(**given))
                case "tap":
                    return 200, msgspec.to_builtins(self.tap(**given))
                case "advance-call":
                    return 200, msgspec.to_builtins(self.ledger.advance_call(**given))
                case "misbehave":
                    self.plan.add(msgspec.convert(given["next"], list[Fault]))
                case "advance":
                    return 200, msgspec.to_builtins(self.ledger.advance(**given))
                case "person":
                    number = given.pop("number")
                    books.people[number] = msgspec.convert(
                        {**msgspec.to_builtins(self.ledger.person(number)), **given}, Person)
                case "template":
                    return 200, msgspec.to_builtins(self._keep(msgspec.convert(given, Template)))
                case "account":
                    books.account = msgspec.convert({**msgspec.to_builtins(books.account), **given}, Account)
                case "callbacks":
                    self.postman.manner = msgspec.convert(given, Manner)
            self.ledger.save()
        return 200, {}

    def inbound(self, from_: str, body: str = "", to: str = "", media: int = 0,
                **extra: str) -> Message:
        """A person writes to us. `extra` goes into the webhook only, as with Twilio (ButtonPayload, MediaUrl0 …)."""
        message = self.ledger.inbound(from_, body, to or self.account.senders[0], media)
        if self.postman.manner.inbound_url:
            self.postman.post(self.account, self.postman.manner.inbound_url,
                              inbound_params(self.account, message, extra))
        return message

    def tap(self, from_: str, sid: str) -> Message:
        """A person taps the button of our message `sid`: its title comes as the text, the rest by webhook only."""
        message = self.ledger.books.messages[sid]
        template = self.ledger.books.templates[message.content_sid]
        button = template.types["twilio/quick-reply"]["actions"][0]
        title = button["title"]
        return self.inbound(from_, title, message.sender.removeprefix("whatsapp:"), ButtonText=title,
                            ButtonPayload=button.get("id", title), MessageType="interactive",
                            OriginalRepliedMessageSid=sid, OriginalRepliedMessageSender=message.sender)


def outbound(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message.direction != "inbound"]


def _wanted(message: Message, query: dict[str, str]) -> bool:
    if message.to != query.get("To", message.to) or message.sender != query.get("From", message.sender):
        return False
    dates = {name: shapes.parse_date(value) for name, value in query.items() if name.startswith("DateSent")}
    if dates and message.sent is None:  # not sent yet: no date finds it
        return False
    sent = message.sent or 0.0
    return (sent >= dates.get("DateSent>", sent) and sent <= dates.get("DateSent<", sent)
            and sent // 86400 == dates.get("DateSent", sent) // 86400)
