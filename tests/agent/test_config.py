"""Promises of the configuration: what is right is read, what is wrong is said in one sentence with its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agent import config as configuration
from agent import plugins, routine, rulebook, source
from agent.config import AgentConfig, Config, ConfigError, Heartbeat, Store, Web
from agent.duty import _Duty
from agent.effective import effective, write
from agent.escalations import _Group
from agent.people import ELSEWHERE, _Person
from alerts.policy import Contact, Policy, Step
from alerts.quiet import Hours, Maintenance
from alerts.roster import Override
from alerts.rule import Words
from collectors.quantities import DURATION, RATIO, SIZE, Quantity, parse

ROOT = Path(__file__).resolve().parents[2]
CASES = re.findall(r"^=== (.+?)\n(.*?)\n---\n(.*?)\n(?=\n===|\Z)",
                   (Path(__file__).parent / "bad_configurations.txt").read_text(), re.DOTALL | re.MULTILINE)
MAIL = """\
[collectors.disk]
[notifiers.email]
host = "mx.example.id"
sender = "Jaga <jaga@example.id>"
username = "jaga"
password = { PASSWORD }
[contacts.budi]
email = "budi@example.id"
channels = ["email"]
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes, env: dict[str, str] | None = None) -> Config:
    path = Path("agent.toml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return configuration.load(path, env or {})


def mistakes(text: str | bytes, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, env)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(problem) for problem in caught.value.problems]


def test_a_webhook_without_a_door_is_a_mistake() -> None:
    text = ('[notifiers.fonnte]\ntoken = { env = "T" }\nhook_secret = { env = "HOOK" }\n[collectors.disk]\n'
            '[contacts.budi]\nwhatsapp = "+628110000001"\nchannels = ["fonnte"]\n')
    env = {"T": "token", "HOOK": "0123456789abcdef"}
    assert mistakes(text, env) == [
        "agent.toml:3: notifiers.fonnte.hook_secret opens a door that is not there: add [web] public and public_url "
        "(docs/public.md), or take it out"]
    assert load('[web]\npublic = "127.0.0.1:9811"\npublic_url = "https://jaga.example.id"\n' + text, env)


@pytest.mark.parametrize(("options", "told"), [
    ('auth_token = { env = "T" }', "https://jaga.example.id/hooks/twilio"),
    ('auth_token = { env = "T" }\nstatus_callback = "https://other.example.id/x"', "https://other.example.id/x"),
    ('api_key = "SK00000000000000000000000000000000"\nauth_token = { env = "T" }', ""),  # nothing to check its calls by
])
def test_with_a_door_to_outside_twilio_is_asked_to_report_there(options: str, told: str) -> None:
    config = load(f"""
[web]
public = "127.0.0.1:9811"
public_url = "https://Jaga.example.id:443/"
[notifiers.twilio]
account_sid = "AC00000000000000000000000000000000"
sender = "+628110000000"
template = "HX00000000000000000000000000000000"
{options}
[collectors.disk]
[contacts.budi]
whatsapp = "+628110000001"
channels = ["twilio"]
""", {"T": "token"})
    assert config.notifiers["twilio"].status_callback == told


def test_the_table_of_mistakes_is_long_enough() -> None:
    assert len(CASES) >= 75
    assert len({name for name, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("text", "said"), [pytest.param(text, said, id=name) for name, text, said in CASES])
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(text: str, said: str) -> None:
    assert mistakes(text + "\n") == said.split("\n")


def test_where_nothing_is_like_the_name_all_that_there_are_is_said() -> None:
    known = ", ".join(sorted(plugins.collectors()))
    assert mistakes("[collectors.oracle]") == [f"agent.toml:1: collectors.oracle names no collector: there is {known}"]
    known = ", ".join(sorted(plugins.notifiers()))
    assert mistakes('[collectors.disk]\n[notifiers.pigeon]\n[contacts.a]\nchannels = ["pigeon"]\n') == [
        f"agent.toml:2: notifiers.pigeon names no notifier: there is {known}"]


@pytest.mark.parametrize(("content", "said"), [
    (b"a = '\xff'\n", "agent.toml:1: is not UTF-8 here: save the file as UTF-8"),
    (b"# \xe2\x82\xac\n# \xff", "agent.toml:2: is not UTF-8 here: save the file as UTF-8"),
    (b"a = " + b"[" * 20_000, "agent.toml: holds a number or a nesting beyond all measure"),
    (b"a = " + b"9" * 5_000, "agent.toml: holds a number or a nesting beyond all measure"),
    (b"#" * 2**21, "agent.toml: is larger than 1 MiB, so it is hardly a configuration"),
])
def test_a_file_that_is_no_toml_is_told_in_one_sentence(content: bytes, said: str) -> None:
    assert mistakes(content) == [said]


def test_a_file_that_cannot_be_had_is_told_in_one_sentence() -> None:
    os.mkfifo("pipe")
    for path, said in (("none.toml", "none.toml: the configuration does not exist: name another one with --config"),
                       (".", ".: the configuration is not a file: name another one with --config"),
                       ("pipe", "pipe: the configuration is not a file: name another one with --config")):
        with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
            configuration.load(Path(path), {})


def test_every_key_has_the_line_on_which_its_statement_begins() -> None:
    text = source.parse("x", b"""# a comment
[a]
b = \"\"\"
[z]
q = 1
\"\"\"
c.d = [
  1, { e = 2 },
]
[[m.n]]
x = 1
[m.n.sub]
y = 2
[[m.n]]
[m.n.sub]
y = 3
  [[m.n.deep]]
  [[m.n.deep]]
  k = "[z]"
""")
    places = [("a",), ("a", "b"), ("a", "c", "d", 1, "e"), ("m", "n", 0, "x"), ("m", "n", 0, "sub", "y"), ("m", "n", 1),
              ("m", "n", 1, "sub"), ("m", "n", 1, "sub", "y"), ("m", "n", 1, "deep", 1, "k"), ("z",), ("a", "none")]
    assert [text.line(place) for place in places] == [2, 3, 7, 11, 13, 14, 15, 16, 19, None, 2]
    assert source.dotted(("m", "n", 1, "a b", "x")) == "m.n[2].'a b'.x"


def test_the_least_configuration_watches_and_tells_the_console() -> None:
    read = load("[collectors.disk]\n")
    assert (read.agent, read.web, read.store) == (AgentConfig(), Web(), Store())
    assert [(each.name, each.plugin.name, each.every, each.timeout) for each in read.collectors] == [
        ("disk", "disk", 60.0, 20.0)]
    assert read.collectors[0].collector == plugins.collectors()["disk"].cls()
    operator = Contact(name="operator", display="operator", language="id", channels=("console",))
    assert read.policy == Policy(contacts={"operator": operator}, people=("operator",),
                                 steps=(Step(after=0.0, to=("oncall",)),))
    assert read.notifiers == {"console": plugins.notifiers()["console"].cls()}
    assert read.state == Path.cwd() / "var"
    assert {rule.collector for rule in read.rules.values()} == {"agent", "disk"}


def test_the_state_lies_where_systemd_says() -> None:
    read = load("[collectors.disk]\n", {"STATE_DIRECTORY": "/var/lib/jaga:/var/lib/other"})
    assert read.state == Path("/var/lib/jaga")


def test_several_of_one_kind_have_names_and_options_of_their_own() -> None:
    read = load("""
[[collectors.disk]]
name = "fast"
every = "10s"
folders = ["/srv"]
[[collectors.disk]]
name = "slow"
every = "1h"
timeout = "1m"
[[collectors.disk]]
name = "off"
enabled = false
""")
    assert [(each.name, each.every, each.timeout) for each in read.collectors] == [
        ("disk:fast", 10.0, 8.0), ("disk:slow", 3600.0, 60.0)]
    assert [each.collector.folders for each in read.collectors] == [("/srv",), ("/var/log", "/var/www/*/storage")]


def test_people_steps_and_times_become_the_policy() -> None:
    read = load("""
agent.language = "en"
[collectors.disk]
[notifiers.console]
[notifiers.printer]
type = "console"
[notifiers.email]
host = "mx"
sender = "a@b.id"
[contacts.budi]
display = "Pak Budi"
whatsapp = "+628110000001"
email = "budi@example.id"
telegram = 123456789
channels = ["console", "email"]
copy = ["email"]
[contacts.shop]
language = "id"
phone = "+628110000002"
channels = ["printer"]
technician = false
shared = true
[oncall]
people = ["budi"]
[[escalation]]
after = "0s"
to = ["oncall"]
[[escalation]]
after = "10m"
to = ["shop", "budi"]
channels = ["printer"]
severities = ["critical"]
[alerts]
remind = { critical = "5m" }
flap_turns = 4
""")
    budi = Contact(name="budi", display="Pak Budi", language="en", channels=("console", "email"), copy=("email",),
                   addresses={"email": "budi@example.id", "telegram": "123456789", "whatsapp": "+628110000001"})
    shop = Contact(name="shop", display="shop", language="id", channels=("printer",), technician=False, shared=True,
                   addresses={"phone": "+628110000002"})
    second = Step(after=600.0, to=("shop", "budi"), channels=("printer",), severities=("critical",))
    assert read.policy == Policy(contacts={"budi": budi, "shop": shop}, people=("budi",),
                                 steps=(Step(after=0.0, to=("oncall",)), second),
                                 remind={"critical": 300.0, "warning": 14400.0}, flap_turns=4)
    assert read.policy.steps_for("warning") == (Step(after=0.0, to=("oncall",)),)
    assert [read.policy.persons(step, 0.0) for step in read.policy.steps] == [("budi",), ("shop", "budi")]
    assert list(read.notifiers) == ["console", "printer", "email"]


def test_without_an_escalation_each_next_person_hears_of_critical_after_a_quarter_of_an_hour() -> None:
    contacts = "".join(f'[contacts.{name}]\nchannels = ["console"]\n' for name in ("a", "b", "c", "shop"))
    read = load(f"[collectors.disk]\n[notifiers.console]\n{contacts}shared = true\n")
    assert read.policy.people == ("a", "b", "c")
    assert read.policy.steps == (Step(after=0.0, to=("oncall",)),
                                 Step(after=900.0, to=("next",), severities=("critical",)),
                                 Step(after=1800.0, to=("next2",), severities=("critical",)))
    assert [read.policy.persons(step, 0.0) for step in read.policy.steps] == [("a",), ("b",), ("c",)]


def test_a_rule_is_changed_switched_off_and_added() -> None:
    plain = load("[collectors.disk]\n").rules
    read = load("""
[collectors.disk]
[rules.disk_space]
warning = "85%"
for = "10m"
where = { mount = ["/srv*", "!/srv/tmp"] }
[rules.disk_inodes]
enabled = false
[rules.srv_grows]
metric = "jaga_folder_size_bytes"
kind = "increase"
window = "1d"
warning = "10 GiB"
summary = "{folder} membengkak {value}"
""").rules
    changed = msgspec.structs.replace(plain["disk_space"], warning=parse(RATIO, "85%"), hold=600.0,
                                      where={"mount": ("/srv*", "!/srv/tmp")})
    assert read["disk_space"] == changed
    assert "disk_inodes" not in read
    added = read["srv_grows"]
    assert (added.warning, added.window, added.collector) == (10 * 2.0**30, 86400.0, "")
    assert added.summary == Words(id="{folder} membengkak {value}", en="{folder} membengkak {value}")
    assert added.first.en == "Run `jaga check` on {agent} and look at the value."
    assert set(read) == set(plain) - {"disk_inodes"} | {"srv_grows"}


def test_a_rule_of_a_collector_that_was_switched_off_is_no_mistake() -> None:
    read = load("[collectors.disk]\n[collectors.resources]\nenabled = false\n[rules.cpu_busy]\nwarning = '70%'\n")
    assert "cpu_busy" not in read.rules


def test_the_shell_braces_of_a_fix_are_no_placeholders() -> None:
    text = "[collectors.disk]\n[rules.disk_space]\nfix = 'du -sh ${HOME}; awk \"{ print }\" {mount}'\n"
    assert load(text).rules["disk_space"].fix.id == 'du -sh ${HOME}; awk "{ print }" {mount}'


@pytest.mark.parametrize(("quantity", "written", "value"), [
    ("disk_space.warning", '"0.85"', None), ("disk_space.warning", "0.85", 0.85),
    ("disk_space.for", '"1h30m"', 5400.0), ("disk_space.for", "90", 90.0),
    ("folder_growth.warning", '"2 MiB"', 2 * 2.0**20), ("disk_fills_soon.warning", '"2d"', 172800.0),
])
def test_a_threshold_is_written_in_the_unit_of_its_metric(quantity: str, written: str, value: float | None) -> None:
    name, key = quantity.split(".")
    text = f"[collectors.disk]\n[rules.{name}]\n{key} = {written}\n"
    if value is None:
        assert len(mistakes(text)) == 1
    else:
        assert getattr(load(text).rules[name], {"for": "hold"}.get(key, key)) == value


@pytest.mark.parametrize("value", ["1e400", "inf", "nan", "-1", "1" + "0" * 400, '"99999999999w"', f'"{"9" * 400}s"'])
def test_a_number_beyond_all_measure_is_a_mistake(value: str) -> None:
    assert len(mistakes(f"[collectors.disk]\nanswer_within = {value}\n")) == 1


def test_a_secret_comes_from_a_credential_a_file_or_a_variable_and_is_not_shown() -> None:
    Path("creds").mkdir()
    Path("creds/smtp").write_text("s3cret\n")
    Path("creds/smtp").chmod(0o440)  # as systemd's ACL looks
    Path("smtp.txt").write_text("s3cret\n")
    Path("smtp.txt").chmod(0o600)
    env = {"CREDENTIALS_DIRECTORY": str(Path("creds").absolute()), "SMTP": "s3cret"}
    for place in ('credential = "smtp"', 'file = "smtp.txt"', 'env = "SMTP"'):
        read = load(MAIL.replace("PASSWORD", place), env)
        assert read.notifiers["email"].password.reveal() == "s3cret"
        shown = effective(read)
        assert f"password = {{ {place} }}" in shown
        assert "s3cret" not in shown + repr(read)


def test_a_credential_is_found_beside_the_file_when_a_person_checks_the_configuration() -> None:
    Path("credentials").mkdir()
    Path("credentials/smtp").write_text("s3cret\n")
    Path("credentials/smtp").chmod(0o600)
    text = MAIL.replace("PASSWORD", 'credential = "smtp"')
    assert load(text, {}).notifiers["email"].password.reveal() == "s3cret"
    Path("credentials/smtp").chmod(0o644)
    assert mistakes(text, {}) == ["agent.toml:6: notifiers.email.password names the file credentials/smtp, which "
                                  "other users may read: run chmod 600 credentials/smtp"]


@pytest.mark.parametrize(("place", "said"), [
    ('file = "open.txt"', "names the file open.txt, which other users may read: run chmod 600 open.txt"),
    ('file = "group.txt"', "names the file group.txt, which other users may read: run chmod 600 group.txt"),
    ('file = "none.txt"', "names the file none.txt, which cannot be read: No such file or directory"),
    ('file = "empty.txt"', "names the file empty.txt, which is empty"),
    ('file = "latin.txt"', "names the file latin.txt, which is not UTF-8 text"),
    ('file = "pipe"', "names pipe, which is not a file"),
    ('file = "/"', "names /, which is not a file"),
    ('credential = "none"', "names the credential none, which systemd did not hand over: "
                            "put it into /etc/jaga/credentials/none and run deploy/install --credentials"),
    ('credential = "../x"', "names a credential by a path: write its name alone"),
    ('env = "EMPTY"', "names the environment variable EMPTY, which is empty"),
])
def test_a_secret_that_is_not_to_be_had_stops_the_start(place: str, said: str) -> None:
    for name, mode, content in (("open.txt", 0o604, b"x"), ("group.txt", 0o640, b"x"), ("empty.txt", 0o600, b"\n"),
                                ("latin.txt", 0o600, b"\xe9")):
        Path(name).write_bytes(content)
        Path(name).chmod(mode)
    os.mkfifo("pipe", 0o600)
    env = {"CREDENTIALS_DIRECTORY": str(Path.cwd()), "EMPTY": ""}
    assert mistakes(MAIL.replace("PASSWORD", place), env) == [f"agent.toml:6: notifiers.email.password {said}"]


@pytest.mark.parametrize("written", ['"hunter2"', '["hunter2"]', '{ plain = "hunter2" }', '{ hunter2 = "hunter2" }'])
def test_a_secret_written_in_the_file_is_not_repeated(written: str) -> None:
    text = MAIL.replace("{ PASSWORD }", written)
    assert all("hunter2" not in said for said in mistakes(text))


def test_the_reference_runs_unchanged_and_tells_every_option() -> None:
    text = (ROOT / "agent.toml").read_text()
    plain = load(text)
    assert [each.name for each in plain.collectors] == ["resources", "disk", "services"]
    assert list(plain.notifiers) == ["console"]
    least = load("[collectors.resources]\n[collectors.disk]\n[collectors.services]\n")
    assert plain.rules == least.rules
    assert msgspec.structs.replace(plain, agent=least.agent) == least  # only the site's name was written
    keys = set(re.findall(r"^#?([a-z_]+) = ", text, re.MULTILINE)) | {"escalation", "override"}
    structs = [AgentConfig, Web, Store, Heartbeat, routine.Digest, routine.Proof, _Person, _Duty, _Group, Step,
               Hours, Maintenance, Override,
               *(plugins.collectors()[name].cls for name in ("resources", "disk", "services")),
               *(plugins.notifiers()[name].cls for name in ("console", "email", "twilio", "voice"))]
    options = {field.encode_name for struct in structs for field in msgspec.structs.fields(struct)}
    options |= {field.name for field in msgspec.structs.fields(Policy)} - set(ELSEWHERE)
    assert (options | set(rulebook.KEYS) | {"every", "timeout", "enabled", "type"}) - keys == set()


def test_everything_that_the_reference_has_commented_out_is_right_too() -> None:
    for name in ("smtp_password", "twilio_token", "mysql_password", "redis_password"):
        Path(name).write_text("x")
    Path("heartbeat_url").write_text("https://hc-ping.com/0b5f2f8c")
    text = re.sub(r"^#(\S)", r"\1", (ROOT / "agent.toml").read_text(), flags=re.MULTILINE)
    read = load(text, {"CREDENTIALS_DIRECTORY": str(Path.cwd())})
    assert list(read.notifiers) == ["console", "email", "twilio", "voice"]
    assert list(read.policy.contacts) == ["operator", "budi", "grup"]
    assert [(step.policy, step.after) for step in read.policy.steps] == [("", 0.0), ("", 900.0), ("database", 0.0)]
    assert "cpu_steal" not in read.rules
    assert read.rules["backup_disk_growth"].kind == "forecast"
    written = {name: getattr(read.policy, name) for name in ("contacts", "steps", "rotation", "escalations",
                                                             "maintenance", "price")}
    assert read.policy == Policy(people=("operator",), **written)
    shown = Web(public="127.0.0.1:9811", public_url="https://jaga.kopkarskf.com")  # both are off by default
    assert (read.web, read.store) == (shown, Store())  # what is shown as default is the default
    assert read.heartbeat.every == Heartbeat().every
    assert "hc-ping" not in effective(read)
    again = load(effective(read), {"CREDENTIALS_DIRECTORY": str(Path.cwd())})
    assert effective(again) == effective(read)
    assert again.rules == read.rules
    assert again.policy == read.policy


def test_the_effective_configuration_gives_the_same_again() -> None:
    text = (ROOT / "agent.toml").read_text()
    for read in (load(text), load(text.replace('site = "Koperasi"', 'site = "Koperasi \\"Maju\\" \\\\ é"'))):
        assert load(effective(read)) == read


@pytest.mark.parametrize(("quantity", "value", "written"), [
    (DURATION, 0.0, '"0s"'), (DURATION, 90.0, '"90s"'), (DURATION, 5400.0, '"90m"'), (DURATION, 604800.0, '"1w"'),
    (DURATION, 0.25, '"250ms"'), (SIZE, 10 * 2.0**30, '"10 GiB"'), (SIZE, 3e5, '"300 kB"'), (SIZE, 0.0, "0"),
    (RATIO, 0.8, '"80%"'), (RATIO, 1 / 3, repr(1 / 3)), (DURATION, 1 / 3, repr(1 / 3)),
])
def test_a_quantity_is_written_as_people_would(quantity: Quantity, value: float, written: str) -> None:
    assert write(quantity, value) == written
    assert parse(quantity, written.strip('"') if '"' in written else value) == value


def test_reading_the_configuration_imports_nothing_heavy() -> None:
    code = ("import sys; from pathlib import Path; from agent.config import load; load(Path(sys.argv[1]));"
            "print(*sorted({name.split('.')[0] for name in sys.modules}))")
    done = subprocess.run([sys.executable, "-c", code, str(ROOT / "agent.toml")], cwd=ROOT, check=True, timeout=30,
                          capture_output=True, text=True)
    heavy = {"twilio", "requests", "httpx", "flask", "waitress", "rich", "escpos", "pymysql", "redis", "pyudev",
             "apscheduler", "smtplib", "difflib"}
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.parametrize(("url", "says"), [
    ("http://hc.example.id/ping/0b5f", "must begin with https://: http:// is only for this machine itself"),
    ("hc-ping.com/0b5f", 'must be an address such as "https://hooks.example.id/jaga"'),
    ("https://jaga:0b5f@hc-ping.com/", "must not hold a user name or password"),
])
def test_a_heartbeat_goes_where_nobody_on_the_way_can_read_its_address(url: str, says: str) -> None:
    text = "[collectors.disk]\n[heartbeat]\nurl = { env = 'BEAT' }\n"
    assert mistakes(text, {"BEAT": url}) == [f"agent.toml:3: heartbeat.url {says}"]
    for right in ("https://hc-ping.com/0b5f", "http://127.0.0.1:8000/ping/0b5f"):
        read = load(text, {"BEAT": right}).heartbeat.url
        assert read is not None
        assert (read.reveal(), right in repr(read)) == (right, False)
