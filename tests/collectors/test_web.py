"""Websites served by a real nginx and broken for real: the readings, and the messages as people get them."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from collectors.base import Reading, Run
from collectors.web import TIMEOUT, Web
from collectors.web_look import Look
from collectors.web_site import Site
from fake_registry import Registry, rdap
from golden import Told, same
from house import free_port
from stack.certificates import Authority, self_signed
from stack.fpm import Fpm
from stack.nginx import Nginx

pytestmark = pytest.mark.needs_debian("nginx", "openssl")
NAME = "kopkarskf.test"
DAY = timedelta(days=1)
PAGE = "<!DOCTYPE html><html><title>Koperasi</title></html>"
QUICK: dict[str, Any] = {"tries": 2, "pause": 0.01, "answer_within": 5.0, "internet": (), "domains": ()}


def measured(collector: Web, memory: dict[str, Any] | None = None, now: float | None = None) -> dict[str, float]:
    """Each reading's value by name and labels; the memory is carried as the store would."""
    run = Run(time.time() if now is None else now, memory if memory is not None else {})
    found = {f"{r.metric}{{{','.join(value for _, value in r.labels)}}}": r.value for r in collector.collect(run)}
    assert {name: trouble for name, trouble in run.targets.items() if trouble} == {}
    assert json.loads(json.dumps(run.memory)) == run.memory
    return found


class House:
    """An nginx with a good certificate and a page, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.www = folder, folder / "www"
        self.www.mkdir()
        (self.www / "index.html").write_text(PAGE)
        self.authority = Authority(folder / "ca")
        self.good = self.authority.issue(NAME)
        self.nginx = Nginx(folder / "nginx", f"root {self.www};", self.good)

    def web(self, *more: Site | str, **site: Any) -> Web:
        """Looks at the page by its public name, with TLS, at this machine's own address."""
        whole = {"url": f"https://{NAME}:{self.nginx.tls_port}/", "address": "127.0.0.1", "text": "Koperasi"} | site
        return Web(urls=(Site(**whole), *more), ca_file=str(self.authority.file), **QUICK)

    @property
    def scrub(self) -> dict[str, str]:
        return {f"127.0.0.1 port {self.nginx.tls_port}": "203.0.113.10 port 443", f":{self.nginx.tls_port}": "",
                NAME: "kopkarskf.com"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    with house.nginx:
        yield house


# --- the readings ------------------------------------------------------------------------------------------------


def test_a_good_site_is_reachable_right_quick_trusted_and_keeps_its_settings_to_itself(house: House) -> None:
    found = measured(house.web())
    yes_or_no = {name: value for name, value in found.items() if "_seconds" not in name and "_ratio" not in name}
    assert yes_or_no == {
        f"jaga_web_reachable{{here,{NAME}}}": 1, f"jaga_web_answer_right{{here,{NAME}}}": 1,
        f"jaga_web_status{{{NAME}}}": 200, f"jaga_web_content_right{{{NAME}}}": 1,
        f"jaga_web_body_bytes{{{NAME}}}": len(PAGE), f"jaga_web_env_exposed{{{NAME}}}": 0,
        f"jaga_certificate_expired{{{NAME}}}": 0, f"jaga_certificate_trusted{{{NAME}}}": 1}
    phases = {name: value for name, value in found.items() if "phase" in name}
    assert [name.split("{")[1].split(",")[0] for name in phases] == ["dns", "connect", "tls", "first_byte", "body"]
    assert found[f"jaga_web_duration_seconds{{{NAME}}}"] == pytest.approx(sum(phases.values()))
    assert 0 < found[f"jaga_web_duration_seconds{{{NAME}}}"] < 5
    assert found[f"jaga_certificate_left_seconds{{{NAME}}}"] == pytest.approx(89 * 86400, abs=300)
    assert found[f"jaga_certificate_left_ratio{{{NAME}}}"] == pytest.approx(89 / 90, abs=0.01)


@pytest.mark.parametrize(("life", "left", "ratio"), [
    (90, 9, 0.1), (45, 9, 0.2), (6, 3, 0.5), (398, 45, 0.5), (398, 300, 1.0), (90, -1, 0.0)])
def test_what_is_left_of_a_certificate_is_a_part_of_its_life_and_of_90_days_at_most(
    house: House, life: float, left: float, ratio: float,
) -> None:
    now = datetime.now(UTC)
    house.nginx.certificate = house.authority.issue(NAME, start=now + (left - life) * DAY, end=now + left * DAY)
    house.nginx.reload()
    assert measured(house.web())[f"jaga_certificate_left_ratio{{{NAME}}}"] == pytest.approx(ratio, abs=0.01)


def test_of_what_is_wrong_only_that_is_said_and_the_rest_is_unknown(house: House) -> None:
    def wrong() -> set[str]:
        return {name.split("{")[0].removeprefix("jaga_web_") for name, value in measured(house.web()).items()
                if "_web_" in name and "env_exposed" not in name and "body" not in name and value == 0}

    def known() -> set[str]:
        return {name.split("{")[0].removeprefix("jaga_web_") for name in measured(house.web()) if "_web_" in name}

    assert wrong() == set()
    (house.www / "index.html").write_text("")
    assert wrong() == {"content_right"}
    (house.www / "index.html").write_text("Domain dijual")
    assert wrong() == {"content_right"}
    house.nginx.site = "return 500;"
    house.nginx.reload()
    assert (wrong(), known()) == ({"answer_right"}, {"reachable", "answer_right", "status", "env_exposed"})
    house.nginx.stop()
    assert (wrong(), known()) == ({"reachable"}, {"reachable"})


def test_a_redirect_is_judged_or_followed_as_asked_and_one_without_end_is_an_error(house: House) -> None:
    plain, secure = f"http://{NAME}:{house.nginx.port}", f"https://{NAME}:{house.nginx.tls_port}"
    house.nginx.site = (f"root {house.www}; location = /aman {{ return 301 {secure}/; }}"
                        f" location = /a {{ return 302 /b; }} location = /b {{ return 302 /a; }}")
    house.nginx.reload()

    def look(path: str, **more: Any) -> tuple[dict[str, float], list[str]]:
        site = Site(url=f"{plain}{path}", name="x", address="127.0.0.1", env=False, **more)
        run = Run(time.time())
        readings = list(Web(urls=(site,), ca_file=str(house.authority.file), **QUICK).collect(run))
        judged = [r for r in readings if r.metric.endswith(("right", "status"))]
        return {r.metric.removeprefix("jaga_web_"): r.value for r in judged}, [r.note for r in judged if r.note]

    assert look("/aman") == ({"answer_right": 1, "status": 301}, [])
    assert look("/aman", redirect=f"{secure}/") == ({"answer_right": 1, "status": 301, "redirect_right": 1}, [])
    assert look("/aman", redirect="https://lain.test/") == (
        {"answer_right": 1, "status": 301, "redirect_right": 0}, [f"goes to {secure}/ (expected https://lain.test/)"])
    assert look("/", redirect=f"{secure}/")[0] == {"answer_right": 1, "status": 200, "redirect_right": 0}
    assert look("/aman", follow=True, text="Koperasi") == ({"answer_right": 1, "status": 200, "content_right": 1}, [])
    assert look("/a", follow=True) == (
        {"answer_right": 0, "status": 302}, [f"HTTP 302, redirects without an end: {plain}/a → {plain}/b → {plain}/a"])
    house.nginx.reload()  # the old worker's log is written out
    assert house.nginx.access_log.read_text().count("GET /a HTTP") == QUICK["tries"]  # not round and round


def test_a_site_that_failed_once_is_asked_again_before_it_counts_as_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        def serve() -> None:
            for answer in (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nx"):
                wire, _ = door.accept()
                with wire:
                    wire.recv(4096)
                    wire.sendall(answer)

        Thread(target=serve, daemon=True).start()
        site = Site(url=f"http://127.0.0.1:{door.getsockname()[1]}/", env=False)
        assert measured(Web(urls=(site,), **QUICK))["jaga_web_status{127.0.0.1}"] == 200


def test_a_silent_site_delays_no_other_and_the_run_stays_within_its_time_out(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sites = [Site(url=f"http://127.0.0.1:{silent.getsockname()[1]}/", name=f"diam-{n}") for n in range(4)]
        web = Web(urls=(*sites, *house.web().urls), ca_file=str(house.authority.file), **QUICK | {"answer_within": 1.0})
        began = time.monotonic()
        found = measured(web)
        assert time.monotonic() - began < 6  # two tries of a second, all sites at once; else it were eight
    assert [found[f"jaga_web_reachable{{here,diam-{n}}}"] for n in range(4)] == [0, 0, 0, 0]
    assert found[f"jaga_web_content_right{{{NAME}}}"] == 1
    with pytest.raises(ValueError, match="tries take too long"):
        Web(urls=("https://a.id/",), tries=10)
    patient = Web(urls=("https://a.id/",))
    assert patient.tries * patient.answer_within + 2 * patient.pause + 15 < TIMEOUT


def test_env_is_asked_for_hourly_and_each_time_while_it_lies_open_and_its_content_is_kept_nowhere(house: House) -> None:
    def asked() -> int:
        house.nginx.reload()  # the old worker's log is written out
        return house.nginx.access_log.read_text().count("GET /.env")

    memory: dict[str, Any] = {}
    web, start = house.web(), time.time()
    for minute in range(3):
        assert measured(web, memory, start + 60 * minute)[f"jaga_web_env_exposed{{{NAME}}}"] == 0
    assert asked() == 1
    (house.www / ".env").write_text("APP_KEY=base64:rahasia\nDB_PASSWORD=rahasia\n")
    assert measured(web, memory, start + 3599)[f"jaga_web_env_exposed{{{NAME}}}"] == 0
    for minute in (60, 61):
        assert measured(web, memory, start + 60 * minute)[f"jaga_web_env_exposed{{{NAME}}}"] == 1
    assert asked() == 3
    assert "rahasia" not in json.dumps(memory)
    house.nginx.stop()
    assert measured(web, memory, start + 3700)[f"jaga_web_env_exposed{{{NAME}}}"] == 1  # not seen to be closed
    assert f"jaga_web_env_exposed{{{NAME}}}" not in measured(web, memory, start + 200_000)


def test_two_sites_of_one_origin_share_its_certificate_and_its_env(house: House) -> None:
    more = Site(url=f"https://{NAME}:{house.nginx.tls_port}/index.html", name="lain", address="127.0.0.1")
    found = measured(house.web(more))
    assert [name for name in found if "trusted" in name or "env" in name] == [
        f"jaga_certificate_trusted{{{NAME}}}", f"jaga_web_env_exposed{{{NAME}}}"]
    assert found["jaga_web_reachable{here,lain}"] == 1


# --- whose fault it is -------------------------------------------------------------------------------------------


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the resolver says, by name; a name that is missing cannot be resolved now."""
    known: dict[str, str] = {}
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        if host.endswith(".test"):
            if host not in known:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            host = known[host]
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_without_internet_sites_outside_are_unknown_and_our_own_are_judged(house: House, names: dict[str, str]) -> None:
    outside = Site(url="https://lain.test/", name="luar")
    web = Web(urls=(outside, *house.web().urls), ca_file=str(house.authority.file),
              **QUICK | {"internet": (f"127.0.0.1:{free_port()}",)})
    house.nginx.stop()
    assert measured(web) == {"jaga_web_internet_up{}": 0, f"jaga_web_reachable{{here,{NAME}}}": 0}
    house.nginx.start()
    assert "jaga_web_reachable{elsewhere,luar}" not in measured(web)
    with socket.create_server(("127.0.0.1", 0)) as door:
        way_out = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{door.getsockname()[1]}")
        found = measured(Web(urls=(outside,), **QUICK | {"internet": way_out}))
    assert found == {"jaga_web_internet_up{}": 1, "jaga_web_reachable{elsewhere,luar}": 0}


def test_those_who_never_answer_prove_nothing_and_are_told_instead(house: House) -> None:
    up, down = Look(addresses=("8.8.8.8",)), Look(addresses=("8.8.8.8",), unreachable="no answer")
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))  # closed until it listens
        web = Web(urls=("https://a.id/",), internet=(f"127.0.0.1:{door.getsockname()[1]}",))
        refused = f"127.0.0.1:{door.getsockname()[1]}: Connection refused"
        memory: dict[str, Any] = {}
        hours = []
        for hour, seen in ((0, down), (1, up), (2, down), (20, down), (26, up), (27, down), (28, up)):
            if hour == 26:
                door.listen()
            run = Run(hour * 3600.0, memory)
            said = web._cut_off(run, [seen])
            hours.append((hour, said, [str(trouble) for trouble in run.targets.values()]))
    useless = [f"sites answer and none of `internet` does, so name others: {refused}"]
    assert hours == [(0, refused, []), (1, "", useless), (2, None, useless), (20, None, useless), (26, "", []),
                     (27, "", []), (28, "", [])]


def test_a_bad_minute_makes_those_who_are_asked_useless_for_ten_and_not_for_a_day(house: House) -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        web = Web(urls=("https://a.id/",), internet=(f"127.0.0.1:{door.getsockname()[1]}",))
        memory: dict[str, Any] = {}
        said = []
        for minute in (0, 9, 10, 11):
            if minute == 9:
                door.listen()
            run = Run(minute * 60.0, memory)
            web._cut_off(run, [Look(addresses=("8.8.8.8",))])
            said.append(bool(run.targets))
    assert said == [True, True, False, False]


def test_who_serves_a_site_is_told_by_its_address_and_changes_only_while_it_is_good(
    house: House, names: dict[str, str],
) -> None:
    web, memory = house.web(address="", env=False), dict[str, Any]()

    def served() -> list[str]:
        return [name.split("{")[1].split(",")[0] for name in measured(web, memory) if "reachable" in name]

    assert served() == ["elsewhere"]  # its name cannot be resolved
    names[NAME] = "127.0.0.1"
    house.nginx.stop()
    assert served() == ["elsewhere"]  # so that what is open under that name can be resolved
    house.nginx.start()
    assert [served(), served()] == [["elsewhere"], ["here"]]
    del names[NAME]
    assert served() == ["here"]
    assert f"jaga_web_reachable{{elsewhere,{NAME}}}" in measured(house.web(served="elsewhere"))


# --- the messages ------------------------------------------------------------------------------------------------


def story(told: Told, web: Web, break_it: Callable[[], object], mend_it: Callable[[], object]) -> None:
    """All is well; broken at minute 1 and looked at until minute 3; mended at minute 10."""
    told.look("web", web, minute=0)
    assert told.open == []
    break_it()
    for minute in (1, 2, 3):
        told.look("web", web, minute=minute)
    mend_it()
    told.look("web", web, minute=10)
    told.look("web", web, minute=11)
    assert told.open == []


def test_story_nginx_is_stopped(house: House) -> None:
    told = Told("web")
    story(told, house.web(), house.nginx.stop, house.nginx.start)
    same("web-down", told.text(), scrub=house.scrub)


def test_a_dead_nginx_of_this_machine_is_one_message_and_elsewhere_it_is_none_of_ours(house: House) -> None:
    from collectors.services import ACTIVE

    for served, subjects in (("auto", ["Layanan nginx mati di server"]),
                             ("elsewhere", ["Layanan nginx mati di server", f"Situs {NAME} tidak bisa dibuka"])):
        told = Told("web", "services")
        web = house.web(served=served)
        told.look("web", web, minute=0)
        house.nginx.stop()
        told.take("services", [ACTIVE(0, unit="nginx")], minute=0.5)
        for minute in (1, 2, 3):
            told.look("web", web, minute=minute)
            told.take("services", [ACTIVE(0, unit="nginx")], minute=minute)
        assert [subject.split(" ", 3)[3] for subject in told.subjects] == subjects
        house.nginx.start()


def test_the_same_dead_site_seen_from_two_agents_is_two_problems_with_a_code_each(house: House) -> None:
    """Each is complete alone: the server may not reach what the till reaches, so neither may speak for the other."""
    agents = {agent: Told("web", agent=agent) for agent in ("server", "kasir-1")}
    for minute in (0, 1, 2):
        for told in agents.values():
            told.look("web", house.web(served="elsewhere"), minute=minute)
        if not minute:
            house.nginx.stop()
    assert [told.open for told in agents.values()] == [["web_down"], ["web_down"]]
    codes = [incident.code for told in agents.values() for incident in told.desk.view.open]
    assert len(set(codes)) == 2
    for agent, told in agents.items():
        assert f"Koperasi · {agent}\n" in told.text()
    house.nginx.start()
    agents["kasir-1"].look("web", house.web(served="elsewhere"), minute=10)
    assert [told.open for told in agents.values()] == [["web_down"], []]  # one is over, and ends the other's not


@pytest.mark.parametrize(("plugin", "cause", "subject"), [
    ("laravel", Reading("jaga_app_maintenance_seconds", 60.0), ""),  # a release of some minutes is nobody's news
    ("mysql", Reading("jaga_mysql_up", 0.0), "Database"),
    ("services", Reading("jaga_service_active", 0.0, (("unit", "php8.2-fpm"),)), "Layanan php8.2-fpm mati"),
])
def test_an_error_page_that_has_a_known_cause_here_is_not_told_besides(house: House, plugin: str, cause: Reading,
                                                                       subject: str) -> None:
    told = Told("web", plugin)
    house.nginx.site = "return 503;"
    house.nginx.reload()
    for minute in (0, 1, 2, 3):
        told.take(plugin, [cause], minute=minute)
        told.look("web", house.web(), minute=minute)
    assert "web_error" in told.open
    assert len(told.subjects) == bool(subject)
    assert all(subject in said for said in told.subjects)
    told.take(plugin, [replace(cause, value=1.0 - min(cause.value, 1.0))], minute=4)
    for minute in (5, 8):  # the cause is gone and the page is not mended: now it is told
        told.look("web", house.web(), minute=minute)
        told.at(minute + 2)
    assert f"Situs {NAME} menjawab dengan galat" in told.subjects[-1]


@pytest.mark.needs_debian("php-fpm8.2:php8.2-fpm")
def test_story_the_application_throws(house: House) -> None:
    page = house.www / "index.php"
    page.write_text(f"<?php echo '{PAGE}';")
    with Fpm(house.folder / "fpm") as fpm:
        house.nginx.site = f"""root {house.www}; index index.php; location ~ \\.php$ {{
            include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_pass unix:{fpm.socket}; }}"""
        house.nginx.reload()
        told = Told("web")
        story(told, house.web(), lambda: page.write_text("<?php throw new Exception('Budi 0812');"),
              lambda: page.write_text(f"<?php echo '{PAGE}';"))
        same("web-error-500", told.text(), scrub=house.scrub)
        fpm.stop()
        run = Run(time.time())
        assert [r.note for r in house.web().collect(run) if r.metric == "jaga_web_answer_right"] == [
            "HTTP 502 Bad Gateway"]


def test_story_the_page_is_empty(house: House) -> None:
    told = Told("web")
    story(told, house.web(), lambda: (house.www / "index.html").write_text(""),
          lambda: (house.www / "index.html").write_text(PAGE))
    same("web-content", told.text(), scrub=house.scrub)


def certificate_story(house: House, name: str, certificate: Any) -> None:
    def serve(what: Any) -> None:
        house.nginx.certificate = what
        house.nginx.reload()

    told, days = Told("web"), dates(86400.0)
    story(told, house.web(), lambda: serve(certificate), lambda: serve(house.good))
    assert "tidak bisa dibuka" not in told.text()
    same(name, told.text(), scrub=house.scrub | days)


def dates(expired: float) -> dict[str, str]:
    """What the note of an expired certificate shows, in days that do not change."""
    now = datetime.now(UTC)
    return {f"{now - 91 * DAY:%Y-%m-%d}": "2026-08-23", f"{now - timedelta(seconds=expired):%Y-%m-%d}": "2026-11-21"}


def test_story_the_certificate_has_expired(house: House) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    certificate_story(house, "web-certificate-expired",
                      house.authority.issue(NAME, start=midnight - 91 * DAY, end=midnight - DAY))


def test_story_the_certificate_is_self_signed(house: House) -> None:
    certificate_story(house, "web-certificate-self-signed", self_signed(house.folder / "own", NAME))


def test_story_the_certificate_was_not_renewed_in_time(house: House) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    aging = house.authority.issue(NAME, start=midnight - 75 * DAY, end=midnight + 15 * DAY)
    told = Told("web")

    def serve(what: Any) -> None:
        house.nginx.certificate = what
        house.nginx.reload()

    story(told, house.web(), lambda: serve(aging), lambda: serve(house.good))
    assert [subject.split(" ", 3)[3] for subject in told.subjects] == [
        f"Sertifikat SSL {NAME} hampir kedaluwarsa dan belum diperbarui",
        f"Sertifikat SSL {NAME} hampir kedaluwarsa dan belum diperbarui (9 menit)"]


def test_story_anybody_may_read_env(house: House) -> None:
    settings = house.www / ".env"
    told = Told("web")
    web = house.web()
    story(told, Web(urls=web.urls, ca_file=web.ca_file, **QUICK | {"env_every": 0.0}),
          lambda: settings.write_text("APP_KEY=base64:rahasia\nDB_PASSWORD=rahasia\n"), settings.unlink)
    assert "rahasia" not in told.text().replace("kunci rahasia", "").replace("Kunci rahasia", "")
    same("web-env-exposed", told.text(), scrub=house.scrub)


def test_story_our_own_internet_is_down(house: House, names: dict[str, str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        names[NAME] = "127.0.0.1"
        web = house.web(address="")
        web = Web(urls=web.urls, ca_file=web.ca_file, **QUICK | {"internet": (f"127.0.0.1:{port}",)})
        told = Told("web")
        story(told, web, lambda: names.pop(NAME), lambda: (names.update({NAME: "127.0.0.1"}), closed.listen()))
    same("web-internet-down", told.text(), scrub=house.scrub | {f"127.0.0.1:{port}": "dns.google:443"})


def test_story_the_domain_ends(house: House) -> None:
    domain = "kopkarskf.co.id"
    with Registry() as registry:
        web = Web(urls=(f"http://127.0.0.1:{house.nginx.port}/",), rdap={"id": registry.rdap},
                  whois={"id": registry.whois}, **QUICK | {"domains": (domain,)})

        def ends_in(days: float) -> str:
            at = datetime.now(UTC) + days * DAY
            registry.answers[domain] = (200, rdap(domain, at.isoformat()), "")
            return f"{at:%Y-%m-%d %H:%M} UTC"

        told, scrub = Told("web"), {ends_in(20.5): "2026-12-13 15:00 UTC"}
        told.look("web", web, minute=0)
        scrub[ends_in(20.5 + 365)] = "2027-12-13 15:00 UTC"
        told.look("web", web, minute=23 * 60)  # too soon to ask again: what is known stays known
        assert told.open == ["domain_expiring"]
        told.look("web", web, minute=25.5 * 60)
        assert told.open == []
        ends_in(4.4)
        told.look("web", web, minute=51 * 60)
        severities = {incident.severity for incident in told.desk.view.open}
        ends_in(400)
        told.look("web", web, minute=59 * 60)
        assert (severities, told.open) == ({"critical"}, [])
        assert registry.asked == [f"rdap {domain}"] * 4
        first = told.text().partition("===== menit ke-3060")[0]
    same("web-domain-expiring", first, scrub=scrub)


def test_story_the_registry_is_silent_for_a_week(house: House) -> None:
    domain = "kopkarskf.co.id"
    with Registry() as registry:
        web = Web(urls=(f"http://127.0.0.1:{house.nginx.port}/",), rdap={"id": registry.rdap},
                  whois={"id": registry.whois}, **QUICK | {"domains": (domain,)})
        told = Told("web")
        for day in (0, 1, 2, 6):
            told.look("web", web, minute=day * 1440)
        assert told.open == []  # nothing is known, and that is not yet a problem
        told.look("web", web, minute=7.5 * 1440)
        assert told.open == ["domain_unknown"]
        assert f"RDAP {registry.rdap}domain/{domain} answered 404" in told.text()
        registry.texts[domain] = "Expiration Date: 2099-01-01 00:00:00\n"
        told.look("web", web, minute=8 * 1440)
        assert told.open == []


def test_a_page_that_takes_long_is_slow_and_its_longest_part_is_named() -> None:
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as door:
        def serve() -> None:
            with suppress(OSError):  # the door was shut
                while True:
                    wire, _ = door.accept()
                    with wire:
                        wire.recv(4096)
                        over.wait(0.6)
                        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

        Thread(target=serve, daemon=True).start()
        web = Web(urls=(Site(url=f"http://127.0.0.1:{door.getsockname()[1]}/", name="toko", env=False),), **QUICK)
        told = Told("web", changes={"web_slow": {"warning": "400ms", "hysteresis": "100ms"}})
        for minute in (0, 3, 6):
            told.look("web", web, minute=minute)
        assert told.open == ["web_slow"]
        assert re.search(r"first_byte (0\.[6-9]|\d+(\.\d)?) s", told.text())
        over.set()
        told.look("web", web, minute=7)
        assert told.open == []
        door.shutdown(socket.SHUT_RDWR)
