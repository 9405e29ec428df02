"""E-mail against a real SMTP server and a rude one: what arrives, and what is said when it does not."""

import email
import email.policy
import re
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from alerts.markup import html
from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Section, Uncertain
from alerts.notifiers.email import Email
from collectors.secret import Secret

openssl = pytest.mark.needs_debian("openssl")

SECTION = Section(
    code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
    since="Sejak 02.14 WIB (12 menit)", detail=".bashrc 12 GiB\n..\n<b>/var/www</b> 3 GiB",
    first="Cari yang besar: du -xh / | sort -h | tail", fix="apt-get clean",
    answer="Bila Anda tangani, buka: https://jaga.toko.id/a/x?y=1&z=2")
LETTER = Letter(
    mark="K7M-3", to="budi@toko.id", name="Budi", language="id", severity="critical", created=1795374850.5,
    stale_at=1795378450.0, subject="[Jaga KRITIS] K7M Disk / terisi 93 %", sections=(SECTION,),
    footer="Toko Sinar · srv1")
ENGLISH = msgspec.structs.replace(
    LETTER, language="en", severity="warning", mark="P4Q-1", subject="[Jaga RESOLVED] P4Q Disk / is 70 % full (12 min)",
    sections=(Section(code="P4Q", mark="P4Q-1", severity="critical", reason="resolved",
                      headline="RESOLVED: Disk / is 70 % full (12 min)",
                      since="From 02:14 WIB to 02:26 WIB (12 min)"),))
TEXT = """\
KRITIS: Disk / terisi 93 %
Sejak 02.14 WIB (12 menit)
Langkah pertama: Cari yang besar: du -xh / | sort -h | tail
Bila Anda tangani, buka: https://jaga.toko.id/a/x?y=1&z=2

.bashrc 12 GiB
..
<b>/var/www</b> 3 GiB

Perbaikan: apt-get clean
Kode K7M-3 (kritis)

Toko Sinar · srv1
"""
ENGLISH_TEXT = """\
RESOLVED: Disk / is 70 % full (12 min)
From 02:14 WIB to 02:26 WIB (12 min)

Code P4Q-1

Toko Sinar · srv1
"""


class Postbox:
    """Keeps what arrives; `answers` are given before that, one for each message."""

    def __init__(self, *answers, rcpt=()):
        self.answers, self.rcpt, self.kept = list(answers), list(rcpt), []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.answers:
            return self.answers.pop(0)
        self.kept.append(envelope)
        return "250 OK"

    @property
    def mails(self):
        return [email.message_from_bytes(envelope.content, policy=email.policy.default) for envelope in self.kept]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def server(postbox, **options):
    controller = Controller(postbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def mailer(port, /, **options):
    given = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "Jaga <jaga@toko.id>", "timeout": 5.0}
    return Email(**given | options)


def body(mail, kind="plain"):
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


def secret(text):
    return Secret('{ env = "SMTP" }', lambda: text)


# --- what arrives ----------------------------------------------------------------------------------------------------

def test_a_letter_arrives_as_text_and_html_with_headers_that_keep_machines_quiet():
    with server(postbox := Postbox()) as port:
        assert mailer(port).send(LETTER) == Receipt("K7M-3", Proof.ACCEPTED)
    [mail] = postbox.mails
    headers = {name: str(value) for name, value in mail.items()}
    date, kind = headers.pop("Date"), headers.pop("Content-Type")
    assert headers == {
        "Subject": "[Jaga KRITIS] K7M Disk / terisi 93 %",
        "Message-ID": "<jaga.K7M-3.1795374850@toko.id>",
        "In-Reply-To": "<jaga.K7M@toko.id>",
        "References": "<jaga.K7M@toko.id>",
        "From": "Jaga <jaga@toko.id>",
        "To": "budi@toko.id",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Jaga-Mark": "K7M-3",
        "Importance": "high",
        "X-Priority": "1",
        "MIME-Version": "1.0",
    }
    assert email.utils.parsedate_to_datetime(date)
    assert kind.startswith("multipart/alternative")
    assert (body(mail), body(mail, "html")) == (TEXT, html(LETTER))
    assert [(envelope.mail_from, envelope.rcpt_tos) for envelope in postbox.kept] == [
        ("jaga@toko.id", ["budi@toko.id"])]
    assert (Email.proof, Email.address) == (Proof.ACCEPTED, "email")


def test_good_news_in_english_is_not_important():
    with server(postbox := Postbox()) as port:
        mailer(port).send(ENGLISH)
    [mail] = postbox.mails
    assert body(mail) == ENGLISH_TEXT
    assert (mail["Importance"], mail["X-Priority"]) == (None, None)


def test_lines_that_begin_with_a_dot_survive_the_way():
    with server(postbox := Postbox()) as port:
        mailer(port).send(LETTER)
    assert "\n.bashrc 12 GiB\n..\n" in body(postbox.mails[0])


def test_all_mails_of_an_incident_share_a_thread_and_a_repeat_is_the_same_mail():
    later = msgspec.structs.replace(LETTER, mark="K7M-4", created=LETTER.created + 60)
    with server(postbox := Postbox()) as port:
        for letter in (LETTER, LETTER, later):
            mailer(port).send(letter)
    assert [(mail["Message-ID"], mail["References"]) for mail in postbox.mails] == [
        ("<jaga.K7M-3.1795374850@toko.id>", "<jaga.K7M@toko.id>"),
        ("<jaga.K7M-3.1795374850@toko.id>", "<jaga.K7M@toko.id>"),
        ("<jaga.K7M-4.1795374910@toko.id>", "<jaga.K7M@toko.id>"),
    ]


def test_a_long_domain_does_not_garble_the_thread():
    domain = "a" * 60 + ".example.id"
    with server(postbox := Postbox()) as port:
        mailer(port, sender=f"jaga@{domain}").send(LETTER)
    assert f"\r\nReferences: <jaga.K7M@{domain}>\r\n".encode() in postbox.kept[0].content


@pytest.mark.parametrize("subject", [
    "Disk\r\nBcc: evil@example.com\r\n\r\nbody", "Disk =?utf-8?q?=0D=0ABcc=3A_evil=40example=2Ecom?= x",
    "Disk\x00\x0b\u2028Bcc: x",
    "x" * 2000, "磁盘 " * 100, "\ud800",
])
def test_no_subject_can_bring_a_header_of_its_own(subject):
    hostile = msgspec.structs.replace(LETTER, subject=subject, mark="K7M-3\r\nBcc: evil@example.com")
    with server(postbox := Postbox()) as port:
        mailer(port).send(hostile)
    mail = email.message_from_bytes(postbox.kept[0].content, policy=email.policy.compat32)
    assert (mail["Bcc"], mail.get_content_type(), postbox.kept[0].rcpt_tos) == (
        None, "multipart/alternative", ["budi@toko.id"])
    assert mail["From"] == "Jaga <jaga@toko.id>"


@pytest.mark.parametrize(("to", "sender", "got"), [
    ("budi@tokö.id", "Jaga <jaga@toko.id>", "budi@xn--tok-una.id"),
    ("büdi@toko.id", "Jaga <jaga@toko.id>", "büdi@toko.id"),
    ("budi@toko.id", "Penjaga Büro <jaga@toko.id>", "budi@toko.id"),
])
def test_addresses_and_names_outside_ascii_arrive(to, sender, got):
    with server(postbox := Postbox(), enable_SMTPUTF8=True) as port:
        mailer(port, sender=sender).send(msgspec.structs.replace(LETTER, to=to))
    [mail] = postbox.mails
    assert (postbox.kept[0].rcpt_tos, str(mail["From"])) == ([got], sender)


def test_a_server_that_takes_ascii_alone_refuses_such_an_address():
    with server(Postbox(), enable_SMTPUTF8=False) as port, pytest.raises(Refused, match="SMTPUTF8 not supported"):
        mailer(port).send(msgspec.structs.replace(LETTER, to="büdi@toko.id"))


@pytest.mark.parametrize("to", [
    "", "budi", "a@b@c", "a@b, c@d", "a b@c", "a@b\r\nRCPT TO:<x@y>", "<>", "a@..", "a@" + "x" * 300])
def test_what_is_no_address_is_refused_without_a_word_on_the_wire(to):
    with pytest.raises(Refused, match="the contact's e-mail address is not one"):
        mailer(1).send(msgspec.structs.replace(LETTER, to=to))


def test_the_page_escapes_everything_and_marks_severity_by_word_and_shape():
    nasty = '<script>alert("x")</script>&\''
    section = msgspec.structs.replace(SECTION, headline=nasty, since=nasty, detail=nasty, first=nasty, fix=nasty,
                                      answer='https://x.id/"onclick=1 <b> https://y.id/a.')
    page = html(msgspec.structs.replace(LETTER, subject=nasty, sections=(section, ENGLISH.sections[0]), footer=nasty))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#x27;") == 7
    assert re.findall(r"<a [^>]*>[^<]*</a>", page) == [
        '<a href="https://x.id/">https://x.id/</a>', '<a href="https://y.id/a">https://y.id/a</a>']
    assert [shape for shape in "◆▲✓" if shape in page] == ["◆", "✓"]
    assert re.findall(r"border-left:\d+px (\w+)", page) == ["solid", "double"]
    assert "background" not in page


# --- when it does not arrive -----------------------------------------------------------------------------------------

def test_greylisting_is_busy_and_the_next_try_arrives():
    with server(postbox := Postbox(rcpt=["451 4.7.1 Greylisted, try again in 5 minutes"])) as port:
        with pytest.raises(Busy, match=r"cannot take it now: 451 4\.7\.1 Greylisted, try again in 5 minutes$"):
            mailer(port).send(LETTER)
        mailer(port).send(LETTER)
    assert len(postbox.mails) == 1


def test_an_unknown_mailbox_is_refused_with_its_code_and_without_its_address():
    answer = "550 5.1.1 <Budi@toko.id>: Recipient address rejected"
    with server(Postbox(rcpt=[answer])) as port, pytest.raises(Refused) as refused:
        mailer(port).send(LETTER)
    assert (refused.value.why, refused.value.code) == (
        f"127.0.0.1:{port} refused it: 550 5.1.1 <…>: Recipient address rejected", "550")


@pytest.mark.parametrize(("answer", "kind"), [
    ("452 4.3.1 Insufficient storage", Busy), ("421 4.3.2 Closing", Busy), ("552 5.2.2 Mailbox full", Refused),
    ("554 5.7.1 Spam", Refused),
])
def test_the_answer_to_the_final_dot_decides(answer, kind):
    with server(Postbox(answer)) as port, pytest.raises(kind, match=re.escape(answer)):
        mailer(port).send(LETTER)


class Rude:
    """A server that follows the script and fails at one step: it closes the line, falls silent, or says something."""

    def __init__(self, step, deed):
        polite = {"connect": "220 rude", "EHLO": "250 rude", "HELO": "250 rude", "MAIL": "250 OK", "RCPT": "250 OK",
                  "DATA": "354 go", "dot": "250 OK", "QUIT": "221 bye"}
        self._script = polite | {step: deed}
        self._done = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join(10)
        self._listener.close()

    def _serve(self):
        line, _ = self._listener.accept()
        with line, line.makefile("rb") as said:
            step = "connect"
            while True:
                deed = self._script[step]
                if deed == "close":
                    return
                if deed == "silence":
                    self._done.wait(10)
                    return
                line.sendall(deed.encode() + b"\r\n")
                if step == "DATA" and deed.startswith("354"):
                    while said.readline() not in (b".\r\n", b""):
                        pass
                    step = "dot"
                    continue
                step = said.readline()[:4].strip().decode().upper()
                if not step:
                    return


@pytest.mark.parametrize(("step", "deed", "outcome"), [
    ("connect", "close", Busy), ("EHLO", "close", Busy), ("MAIL", "close", Busy), ("RCPT", "close", Busy),
    ("DATA", "close", Busy), ("dot", "close", Uncertain), ("QUIT", "close", None),
    ("connect", "silence", Busy), ("RCPT", "silence", Busy), ("DATA", "silence", Busy), ("dot", "silence", Uncertain),
    ("QUIT", "silence", None),
    ("connect", "421 too many", Busy), ("connect", "554 go away", Refused), ("MAIL", "530 log in first", Refused),
    ("RCPT", "251 forwarded", None), ("RCPT", "nonsense", Busy), ("DATA", "451 later", Busy),
    ("dot", "nonsense", Uncertain), ("dot", "2" * 9000, Uncertain), ("dot", "451 later", Busy),
    ("QUIT", "nonsense", None),
])
def test_only_after_the_final_dot_is_it_uncertain(step, deed, outcome):
    with Rude(step, deed) as rude:
        begun = time.monotonic()
        sender = mailer(rude.port, timeout=0.5 if deed == "silence" else 10.0)
        if outcome is None:
            assert sender.send(LETTER) == Receipt("K7M-3")
        else:
            with pytest.raises(outcome):
                sender.send(LETTER)
        assert time.monotonic() - begun < 8, "it waited for a server that fell silent"


def test_nobody_at_the_port_is_busy():
    with pytest.raises(Busy, match="Connection refused"):
        mailer(free_port()).send(LETTER)


def test_a_dead_name_service_is_busy_and_names_the_host(monkeypatch):
    def dead(*_args, **_more):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", dead)
    with pytest.raises(Busy) as busy:
        mailer(587, host="smtp.toko.id", security="starttls").send(LETTER)
    assert busy.value.why == "smtp.toko.id: the name was not found: Temporary failure in name resolution"


# --- who may see it: TLS and passwords -------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A certificate authority of our own, and server certificates: a good, an expired and a foreign one."""
    folder = tmp_path_factory.mktemp("certificates")

    def run(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

    def signed(name, host, days):
        (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", str(days), "-extfile", f"{name}.ext")

    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
        "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2")
    signed("good", "IP:127.0.0.1", 2)
    signed("expired", "IP:127.0.0.1", -1)
    signed("foreign", "DNS:elsewhere.id", 2)
    return folder


def context_of(certificates, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")
    return context


def starttls(certificates, name):
    return {"tls_context": context_of(certificates, name), "require_starttls": True}


@openssl
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_letter_arrives_under_tls(certificates, security):
    options = (starttls(certificates, "good") if security == "starttls"
               else {"ssl_context": context_of(certificates, "good")})
    with server(postbox := Postbox(), **options) as port:
        mailer(port, security=security, ca_file=str(certificates / "ca.pem")).send(LETTER)
    assert [mail["X-Jaga-Mark"] for mail in postbox.mails] == ["K7M-3"]


@openssl
@pytest.mark.parametrize(("name", "own_ca", "words"), [
    ("expired", True, "certificate has expired"),
    ("foreign", True, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ("good", False, "unable to get local issuer certificate"),
])
def test_a_certificate_that_is_not_valid_is_refused_with_its_reason(certificates, name, own_ca, words):
    ca_file = str(certificates / "ca.pem") if own_ca else ""
    with server(postbox := Postbox(), **starttls(certificates, name)) as port, pytest.raises(Refused) as refused:
        mailer(port, security="starttls", ca_file=ca_file).send(LETTER)
    assert (refused.value.why, refused.value.code, postbox.kept) == (
        f"127.0.0.1:{port} showed a certificate that is not valid: {words}", "tls", [])


def test_a_server_without_starttls_gets_no_letter():
    with server(postbox := Postbox()) as port, pytest.raises(Refused, match="lacks what is asked of it: STARTTLS"):
        mailer(port, security="starttls").send(LETTER)
    assert postbox.kept == []


def test_tls_to_a_port_that_speaks_plainly_says_which_port_speaks_how():
    with server(Postbox()) as port, pytest.raises(Refused, match='port 465 wants security = "tls"'):
        mailer(port, security="tls").send(LETTER)


def test_a_missing_ca_file_is_refused_by_name(tmp_path):
    (empty := tmp_path / "empty.pem").touch()
    with pytest.raises(Refused, match=r"ca_file /nowhere/ca\.pem: No such file or directory"):
        mailer(1, security="tls", ca_file="/nowhere/ca.pem").send(LETTER)
    with pytest.raises(Refused, match=f"ca_file {re.escape(str(empty))}: "):
        mailer(1, security="tls", ca_file=str(empty)).send(LETTER)


def doorman(server, session, envelope, mechanism, data):
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (b"jaga", b"rahasia"), handled=False)


@openssl
@pytest.mark.parametrize(("password", "code"), [("rahasia", None), ("salah", "535"), ("räuber", "auth")])
def test_the_right_password_opens_and_a_wrong_one_is_refused_without_being_shown(certificates, password, code):
    options = {**starttls(certificates, "good"), "authenticator": doorman, "auth_required": True}
    with server(postbox := Postbox(), **options) as port:
        sender = mailer(port, security="starttls", ca_file=str(certificates / "ca.pem"), username="jaga",
                        password=secret(password))
        if code is None:
            sender.send(LETTER)
            assert len(postbox.mails) == 1
        else:
            with pytest.raises(Refused) as refused:
                sender.send(LETTER)
            assert refused.value.code == code
            assert password not in refused.value.why
            assert refused.value.__cause__ is None


@openssl
def test_a_server_that_wants_a_password_refuses_one_who_has_none(certificates):
    options = {**starttls(certificates, "good"), "authenticator": doorman, "auth_required": True}
    with server(Postbox(), **options) as port, pytest.raises(Refused) as refused:
        mailer(port, security="starttls", ca_file=str(certificates / "ca.pem")).send(LETTER)
    assert refused.value.code == "530"


# --- what is not even started ----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "sentence"), [
    ({"host": ""}, "host must name"), ({"host": "smtp .toko.id"}, "host must name"),
    ({"host": "smtp..toko.id"}, "host must name"), ({"host": "a" * 64 + ".id"}, "host must name"),
    ({"port": 0}, "port must be from 1 to 65535"), ({"port": 70000}, "port must be from 1 to 65535"),
    ({"timeout": 0.0}, "timeout must be longer"), ({"hello": "a\r\nMAIL"}, "hello must be"),
    ({"host": "smtp.toko.id"}, 'security = "none" is only for this machine itself, not for smtp.toko.id'),
    ({"host": "10.0.0.1"}, 'security = "none" is only for this machine itself'),
    ({"username": "jaga"}, "username and password go together"),
    ({"password": secret("x")}, "username and password go together"),
    ({"sender": "Jaga"}, "sender must be an address"), ({"sender": "a@b\r\nBcc: c@d"}, "sender must be an address"),
    ({"sender": "Jaga <a@b>, c@d"}, "sender must be an address"),
])
def test_an_impossible_setting_stops_the_start_with_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        mailer(587, **options)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_itself_needs_no_tls(host):
    assert mailer(25, host=host).security == "none"


def test_the_password_is_not_printed_with_the_notifier():
    assert "rahasia" not in repr(mailer(587, username="jaga", password=secret("rahasia")))
