"""One GET by hand: phases, the deadline that nothing outlasts, and words for everything that goes wrong."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.web_http import LARGEST, Answer, Unreachable, _Asked, get, reaches
from collectors.web_wire import Deadline, ours, public
from house import free_port

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nKoperasi"


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server whose every connection is `serve`d after its request was read; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        def take() -> None:
            with suppress(OSError):  # the door was closed
                while True:
                    wire, _ = door.accept()
                    Thread(target=answer, args=(wire,), daemon=True).start()

        def answer(wire: socket.socket) -> None:
            with wire, suppress(OSError):  # the other side hung up
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += wire.recv(4096)
                serve(wire)

        Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/"
        door.shutdown(socket.SHUT_RDWR)


def says(*parts: bytes) -> Callable[[socket.socket], None]:
    def serve(wire: socket.socket) -> None:
        for part in parts:
            wire.sendall(part)
    return serve


def test_an_answer_comes_with_its_phases_and_its_address() -> None:
    with server(says(PAGE)) as url:
        answer = get(url, Deadline(5.0))
    assert (answer.status, answer.reason, answer.body, answer.addresses, answer.der) == (
        200, "OK", b"Koperasi", ("127.0.0.1",), None)
    assert list(answer.phases) == ["dns", "connect", "first_byte", "body"]
    assert 0 < answer.seconds < 5


@pytest.mark.parametrize(("parts", "body"), [
    ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nKop\r\n", b"5\r\nerasi\r\n0\r\n\r\n"), b"Koperasi"),
    ((b"HTTP/1.0 200 OK\r\n\r\nKop", b"erasi"), b"Koperasi"),
    ((b"HTTP/1.1 100 Continue\r\n\r\n", PAGE), b"Koperasi"),
    ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"Koperasi")), b"Koperasi"),
    ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nKoperasi",), b"Koperasi"),
    ((b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (LARGEST + 5)), b"x" * LARGEST),
    ((b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"x" * 9 * LARGEST)), b"x" * LARGEST),
])
def test_every_form_of_a_page_is_read_and_none_beyond_measure(parts: tuple[bytes, ...], body: bytes) -> None:
    with server(says(*parts)) as url:
        assert get(url, Deadline(5.0)).body == body


@pytest.mark.parametrize(("parts", "why"), [
    ((), "it hung up without an answer"),
    ((b"SSH-2.0-OpenSSH_9.2p1\r\n",), "what answers there does not speak HTTP"),
    ((b"HTTP/1.1 999999 x\r\n\r\n",), "what answers there does not speak HTTP"),
    ((b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",), "what answers there does not speak HTTP"),
    ((b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nKop",), "the page was cut off after 3 bytes"),
    ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nKop",), "the page was cut off after 0 bytes"),
])
def test_what_is_no_answer_is_told_in_words(parts: tuple[bytes, ...], why: str) -> None:
    with server(says(*parts)) as url, pytest.raises(Unreachable) as refused:
        get(url, Deadline(5.0))
    assert str(refused.value) == f"127.0.0.1 port {url[17:-1]}: {why}"
    assert refused.value.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_left_at_the_deadline(start: bytes) -> None:
    over = Event()

    def drip(wire: socket.socket) -> None:
        wire.sendall(start)
        while not over.wait(0.02):
            wire.sendall(b"x")

    began = time.monotonic()
    try:
        with server(drip) as url, pytest.raises(Unreachable, match=r"127\.0\.0\.1 port \d+: no answer within 0\.3 s"):
            get(url, Deadline(0.3))
    finally:
        over.set()
    assert 0.25 < time.monotonic() - began < 2


def test_a_name_that_nobody_resolves_does_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(10) or [])
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"^silent\.test: no answer within 0\.2 s$"):
        get("http://silent.test/", Deadline(0.2))
    assert time.monotonic() - began < 2
    answer.set()


def test_a_refusal_names_the_address_and_a_missing_name_itself() -> None:
    port = free_port()
    with pytest.raises(Unreachable, match=rf"^127\.0\.0\.1 port {port}: Connection refused$"):
        get(f"http://127.0.0.1:{port}/", Deadline(5.0))
    with pytest.raises(Unreachable, match=r"^nobody\.invalid: (Name or service not known|.*resolution)"):
        get("http://nobody.invalid/", Deadline(5.0))
    assert reaches(f"127.0.0.1:{port}", Deadline(5.0)) == f"127.0.0.1:{port}: Connection refused"
    with server(says(PAGE)) as url:
        assert reaches(url[7:-1], Deadline(5.0)) == ""


def test_the_second_address_of_a_name_is_tried_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: [
        *real("127.0.0.9", *rest, **more), *real("127.0.0.1", *rest, **more)])
    with server(says(PAGE)) as url:
        assert get(url.replace("127.0.0.1", "two.test"), Deadline(5.0)).addresses == ("127.0.0.9", "127.0.0.1")


def test_an_address_that_is_silent_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: [
        *real("127.0.0.9", *rest, **more), *real("127.0.0.1", *rest, **more)])
    with server(says(PAGE)) as url, ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.9", int(url[17:-1])), backlog=0))
        for _ in range(3):  # its queue is full: whoever comes now hears nothing
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        began = time.monotonic()
        assert get(url.replace("127.0.0.1", "two.test"), Deadline(1.0)).status == 200
        assert 0.4 < time.monotonic() - began < 1


def test_the_request_says_who_asks_and_for_which_name() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]

        def serve() -> None:
            wire, _ = door.accept()
            with wire:
                heard.append(wire.recv(4096))
                wire.sendall(PAGE)

        Thread(target=serve, daemon=True).start()
        get(f"http://kopkarskf.test:{port}/masuk?ke=1#x", Deadline(5.0), address="127.0.0.1")
    lines = heard[0].decode().split("\r\n")
    assert lines[:2] == ["GET /masuk?ke=1 HTTP/1.1", f"Host: kopkarskf.test:{port}"]
    assert lines[2].startswith("User-Agent: Jaga/")


def test_our_own_addresses_and_those_in_the_internet_are_told_apart() -> None:
    assert [ours("127.0.0.1"), ours("::1"), ours("198.51.100.7"), ours("8.8.8.8")] == [True, True, False, False]
    cases = {"8.8.8.8": True, "2606:4700::1": True, "10.1.2.3": False, "127.0.0.1": False, "fe80::1%eth0": False,
             "100.64.0.1": False}
    assert {address: public(address) for address in cases} == cases


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([
    b"HTTP/1.1 200 OK\r\n", b"Content-Length: ", b"-1", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"\r\n\r\n",
    b"Location: \xff\r\n", b"fffffffffff\r\n", b"Content-Encoding: deflate\r\n"])), max_size=8))
def test_whatever_a_server_sends_is_an_answer_or_unreachable(parts: list[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname(), 5) as wire:
        theirs, _ = door.accept()
        with theirs:
            theirs.sendall(b"".join(parts))
            theirs.shutdown(socket.SHUT_WR)
            refused = ""
            try:
                answer: Answer | None = _Asked("http://a.test/", Deadline(5.0)).exchange(wire, None, "*/*")
            except Unreachable as error:
                answer, refused = None, str(error)
    assert (answer is None) == bool(refused)
