"""Laravel's log: the grammar as real Laravel writes it, counted alike however the bytes are cut, and never dearer."""

import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.following import follow
from collectors.laravel_log import LEVELS, MOST, Problem, Scan, Seen, skew

WIB = ZoneInfo("Asia/Jakarta")
AT = datetime(2026, 11, 22, 19, 10, 33, tzinfo=WIB).timestamp()

# What Laravel's LineFormatter on Monolog 2.9.1 wrote, byte for byte: two blanks where the context is empty.
REAL = r"""[2026-11-22 19:10:33] production.INFO: plain message  
[2026-11-22 19:10:33] production.WARNING: with ctx {"order_id":"ORD-1","amount":15000,"nested":{"a":[1,2]},"utf8":"Rp – Simpanan é","path":"/x/y"} 
[2026-11-22 19:10:33] production.ERROR: multi
line message {"k":"v
w"} 
[2026-11-22 19:10:33] production.ERROR: SQLSTATE[HY000] [2002] Connection refused (SQL: select * from `users` where "a" = 1) {"exception":"[object] (RuntimeException(code: 2002): SQLSTATE[HY000] [2002] Connection refused (SQL: select * from `users` where \"a\" = 1) at /var/www/koperasi/log.php:11)
[stacktrace]
#0 /var/www/koperasi/log.php(12): boom()
#1 {main}
"} 
[2026-11-22 19:10:33] production.CRITICAL: wrapped {"userId":7,"exception":"[object] (LogicException(code: 5): outer at /var/www/koperasi/log.php:12)
[stacktrace]
#0 {main}

[previous exception] [object] (RuntimeException(code: 2002): SQLSTATE[HY000] [2002] Connection refused (SQL: select * from `users` where \"a\" = 1) at /var/www/koperasi/log.php:11)
[stacktrace]
#0 /var/www/koperasi/log.php(12): boom()
#1 {main}
"} 
[2026-11-22 19:10:33] production.EMERGENCY:   
[2026-11-22 19:10:33] production.NOTICE: [2026-01-18 08:00:01] fake.ERROR: injected  
[2026-11-22 19:10:33] production.DEBUG: d {"null":null,"t":true,"f":1.5,"arr":[]} 
[2026-11-22 19:10:33] production.ALERT: a  
"""  # noqa: E501, W291

QUERY = r"""[2026-11-22 19:10:33] production.ERROR: SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'budi@skf.co.id' for key 'users_email_unique' (Connection: mysql, SQL: insert into `users` (`name`, `email`) values (Budi Santoso, budi@skf.co.id)) {"userId":12,"exception":"[object] (Illuminate\\Database\\UniqueConstraintViolationException(code: 23000): SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'budi@skf.co.id' for key 'users_email_unique' (Connection: mysql, SQL: insert into `users` (`name`, `email`) values (Budi Santoso, budi@skf.co.id)) at /var/www/koperasi/vendor/laravel/framework/src/Illuminate/Database/Connection.php:824)
[stacktrace]
#0 /var/www/koperasi/vendor/laravel/framework/src/Illuminate/Database/Connection.php(779): Illuminate\\Database\\Connection->runQueryCallback()
#1 [internal function]: Illuminate\\Database\\Connection->run(12)
#2 /var/www/koperasi/app/Services/MemberService.php(88): Illuminate\\Database\\Eloquent\\Model->save()
#3 /var/www/koperasi/public/index.php(52): Illuminate\\Foundation\\Application->handleRequest()
#4 {main}
"} {"trace_id":"4f1c"}
"""  # noqa: E501


def scanned(text: str | bytes, *, after: float | None = None, inside: int = 0) -> Seen:
    scan = Scan(WIB, after)
    data = text.encode() if isinstance(text, str) else text
    taken, _ = scan.take(data, inside, True)
    assert taken == len(data)
    return scan.seen


def test_what_laravel_really_writes_is_read() -> None:
    one = {"count": 1, "first": AT, "last": AT}
    assert scanned(REAL) == Seen(
        counts=Counter({("production", level): 2 if level == "ERROR" else 1 for level in LEVELS}),
        problems={problem.key: problem for problem in (
            Problem("message 021a7754", "ERROR", "", "", "multi line message", **one),
            Problem("RuntimeException /var/www/koperasi/log.php:11", "ERROR", "RuntimeException",
                    "/var/www/koperasi/log.php:11",
                    "SQLSTATE[HY000] [2002] Connection refused (SQL: select * from `users` where ? = ?)", **one),
            Problem("LogicException /var/www/koperasi/log.php:12", "CRITICAL", "LogicException",
                    "/var/www/koperasi/log.php:12", "wrapped", **one),
            Problem("message 1271cf25", "EMERGENCY", "", "", "", **one),
            Problem("message ca234c55", "ALERT", "", "", "a", **one))},
        newest=AT)


def test_an_exception_thrown_in_a_library_belongs_to_the_app_s_line_that_called_it() -> None:
    (problem,) = scanned(QUERY).problems.values()
    assert problem == Problem(
        "UniqueConstraintViolationException app/Services/MemberService.php:88", "ERROR",
        r"Illuminate\Database\UniqueConstraintViolationException", "app/Services/MemberService.php:88",
        "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '***' for key 'users_email_unique' "
        "(Connection: mysql, SQL: insert into `users` (`name`, `email`) values (?))", 1, AT, AT)


def thrown(place: str, *frames: str, kind: str = "E") -> str:
    trace = "".join(f"#{number} {frame}\n" for number, frame in enumerate(frames))
    return (f'[2026-11-22 19:10:33] p.ERROR: m {{"exception":"[object] ({kind}(code: 0): m at {place})\n'
            f'[stacktrace]\n{trace}#9 {{main}}\n"}} \n')


@pytest.mark.parametrize(("entry", "key"), [
    (thrown("/srv/app/releases/7/app/Http/Pay.php:5"), "E app/releases/7/app/Http/Pay.php:5"),
    (thrown("/var/www/k/resources/views/a.blade.php:5", kind=r"Illuminate\\View\\ViewException"),
     "ViewException resources/views/a.blade.php:5"),
    (thrown("/var/www/k/vendor/x/y.php:1", "/var/www/k/vendor/x/z.php(2): f()", "/var/www/k/app/A.php(3): g()"),
     "E app/A.php:3"),
    (thrown("/var/www/k/vendor/x/y.php:1", "/var/www/k/custom/A.php(3): g()"), "E custom/A.php:3"),
    (thrown("/var/www/k/vendor/x/y.php:1", "/var/www/k/artisan(3): g()", "/var/www/k/public/index.php(3): g()"),
     "E vendor/x/y.php:1"),
    (thrown(r"C:\\laragon\\www\\k\\app\\A.php:7"), "E app/A.php:7"),
    (thrown("/k/app/A.php:7", kind="class@anonymous"), "class@anonymous app/A.php:7"),
    # without traces, as a formatter of one's own may write it
    ('[2026-11-22 19:10:33] p.ERROR: m {"exception":"[object] (E(code: 0): m at /k/app/A.php:7)"} \n',
     "E app/A.php:7"),
    ('[2026-11-22 19:10:33] p.ERROR: m {"exception":"[object] (E(code: 42S02): m at somewhere"} \n', "E "),
    # what stands where a place should, and is none, is not passed on
    ('[2026-11-22 19:10:33] p.ERROR: m {"exception":"[object] (E(code: 0): mail at Budi, 0812 345 (pagi)"} \n', "E "),
    (thrown("A" * 10_000 + ":7"), "E "),
    (thrown("/k/vendor/x/y.php:1", f"/k/{'A' * 10_000}(3): g()"), "E vendor/x/y.php:1"),
    # Log::error($e)
    ("[2026-11-22 19:10:33] p.ERROR: App\\Exceptions\\Late: too late in /k/app/A.php:7\nStack trace:\n#0 {main}  \n",
     "Late app/A.php:7"),
    ("[2026-11-22 19:10:33] laravel.EMERGENCY: Unable to create configured logger. Using emergency logger. "
     '{"exception":"[object] (InvalidArgumentException(code: 0): Log [x] is not defined. at '
     '/k/vendor/laravel/framework/src/Illuminate/Log/LogManager.php:232)\n[stacktrace]\n#0 {main}\n"} \n',
     "InvalidArgumentException vendor/laravel/framework/src/Illuminate/Log/LogManager.php:232"),
])
def test_an_error_is_known_by_what_was_thrown_and_where(entry: str, key: str) -> None:
    assert list(scanned(entry).problems) == [key]
    again = scanned(entry * 3)
    assert [(problem.key, problem.count) for problem in again.problems.values()] == [(key, 3)]


def test_one_app_in_many_folders_is_one_app() -> None:
    log = "".join(thrown(f"/srv/k{n}/vendor/x.php:1", f"/srv/k{n}/custom/A.php(3): g()") for n in range(30))
    assert [(problem.key, problem.count) for problem in scanned(log).problems.values()] == [("E custom/A.php:3", 30)]


@pytest.mark.parametrize(("first", "then", "counted", "strange"), [
    ("[2026-11-22 19:10:33] p.INFO: m  \n", "of it\n[2026-11-22 19:10:33] p.INFO: m", 2, 0),
    ("[2026-11-22 19:10:33] p.INFO: m  \n", "[2026-11-22 19:10:33] p.INFO: m", 2, 0),
    ("[2026-11-22 19:10:33] p.INFO: m", "[2026-11-22 19:10:33] p.INFO: in its line\nof it\n", 1, 0),
    ("[2026-11-22 19:10:33] p.INFO: m", "\n[2026-11-22 19:10:33] p.INFO: m", 2, 0),
    ("strange\n", "strange\n[2026-11-22 19:10:33] p.INFO: m", 1, 2),
    ("strange", "[2026-11-22 19:10:33] p.INFO: in its line\n[2026-11-22 19:10:33] p.INFO: m", 1, 1),
])
def test_what_was_cut_goes_on_where_it_was_cut(first: str, then: str, counted: int, strange: int) -> None:
    scan = Scan(WIB)
    _, inside = scan.take(first.encode(), 0, True)
    scan.take(then.encode(), inside, True)
    assert (scan.seen.levels["INFO"], scan.seen.strange) == (counted, strange)


@pytest.mark.parametrize(("one", "other"), [
    ("Saldo anggota 12 tidak cukup", "Saldo anggota 7781 tidak cukup"),
    ("WA ke 081234567890 gagal", "WA ke +62 813-1111-2222 gagal"),
    ("Gagal kirim struk ke Budi Santoso", "Gagal kirim struk ke Siti"),
    ('Order "TRX-1" ditolak', 'Order "Belanja Bulanan" ditolak'),
])
def test_words_that_differ_in_numbers_and_names_only_are_one_problem(one: str, other: str) -> None:
    seen = scanned("".join(f"[2026-11-22 19:10:33] p.ERROR: {words}  \n" for words in (one, other, "Lain sama sekali")))
    assert [problem.count for problem in seen.problems.values()] == [2, 1]


@pytest.mark.parametrize(("start", "channel", "level", "at"), [
    ("[2026-11-22 19:10:33] local.DEBUG: m", "local", "DEBUG", AT),
    ("[2026-11-22T19:10:33.123456+07:00] production.INFO: m", "production", "INFO", AT + 0.123456),
    ("[2026-11-22T12:10:33Z] production.INFO: m", "production", "INFO", AT),
    ("[2026-11-22 12:10:33.5+0000] koperasi.payments.INFO: m", "koperasi.payments", "INFO", AT + 0.5),
    ("[2026-11-22 00:00:00] production.INFO: midnight", "production", "INFO", AT - 19 * 3600 - 633),
    ("[2026-13-45 99:00:00] production.INFO: no date", "production", "INFO", None),
])
def test_stamps_channels_and_levels(start: str, channel: str, level: str, at: float | None) -> None:
    for end in ("  \n", "  \r\n"):
        assert scanned(start + end) == Seen(counts=Counter({(channel, level): 1}), newest=at)


@pytest.mark.parametrize("line", [
    "[2026-11-22 19:10:33] production.ERROR:no blank", "[2026-11-22 19:10:33] ERROR: no channel",
    "[2026-11-22 19:10:33] production.error: small", "[2026-11-22] production.ERROR: no time",
    " [2026-11-22 19:10:33] production.ERROR: indented", '{"message":"json","level":400,"channel":"production"}',
    "[22-Nov-2026 12:10:33 UTC] PHP Fatal error:  Uncaught Error", "#0 /var/www/koperasi/app/A.php(1): f()",
])
def test_lines_of_another_format_are_counted_as_strange_and_within_an_entry_belong_to_it(line: str) -> None:
    assert scanned(f"{line}\n\n{line}\n") == Seen(strange=2)
    entry = "[2026-11-22 19:10:33] p.INFO: m  \n"
    assert scanned(f"{line}\n{entry}{line}\n{line}\n") == Seen(Counter({("p", "INFO"): 1}), strange=1, newest=AT)
    assert scanned(f"{line}\n{entry}", inside=1) == Seen(Counter({("p", "INFO"): 1}), newest=AT)


def test_a_hole_of_zeros_hides_no_entry_and_broken_utf8_is_no_failure() -> None:
    seen = scanned(b"[2026-11-22 19:10:33] p.INFO: m  \n" + bytes(5000) +
                   b"[2026-11-22 19:10:33] p.ERROR: \xff\xfe kaput \x1b[31m\xe2\x80\xae  \n")
    assert (seen.levels["INFO"], seen.levels["ERROR"], seen.nul, seen.strange) == (1, 1, True, 0)
    (problem,) = seen.problems.values()
    assert problem.example == "�� kaput [31m"


def test_an_entry_forged_within_a_message_counts_as_an_entry_for_nobody_can_tell() -> None:
    seen = scanned("[2026-11-22 19:10:33] p.INFO: name changed to x\n[2026-11-22 19:10:33] p.EMERGENCY: all lost  \n")
    assert (seen.levels["INFO"], seen.levels["EMERGENCY"]) == (1, 1)


def test_older_entries_are_left_out_of_a_first_look() -> None:
    text = "".join(f"[2026-11-{day} 19:10:33] p.ERROR: m  \n" for day in (20, 21, 22, 21, 23))
    seen = scanned(text, after=AT)
    assert (seen.older, seen.levels["ERROR"], seen.newest) == (2, 3, AT + 86400)
    (problem,) = seen.problems.values()
    assert (problem.first, problem.last) == (AT, AT + 86400)


def pieces(data: bytes, sizes: list[int]) -> Seen:
    """Read as `follow` reads: what was not taken is handed out again, with more."""
    scan, at, inside, size = Scan(WIB), 0, 0, 0
    while at < len(data):
        size += sizes[at % len(sizes)]
        end = at + size >= len(data)
        taken, inside = scan.take(data[at:at + size], inside, end)
        at += taken
        size = 0 if taken else size
    return scan.seen


ENTRIES = st.lists(st.sampled_from([*(line + "\n" for line in REAL.splitlines()), QUERY, "\n", "\r\n", "\0\0", "\0[",
                                    "[2026-11-22 19:10:33] a.b.INFO: x", "\n[2026-11-22 19:10:3", "3] p.ERROR: y\n"]),
                   max_size=30).map(lambda parts: "".join(parts).encode())


@settings(max_examples=200, deadline=None)
@given(data=ENTRIES, sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_however_the_bytes_are_cut_the_result_is_the_same(data: bytes, sizes: list[int]) -> None:
    assert pieces(data, sizes) == pieces(data, [len(data) + 1])


@settings(max_examples=300, deadline=None)
@given(data=st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(
    [b"\n[2026-11-22 19:10:33] p.ERROR: ", b"[object] (", b"(code: 0): ", b"\n[stacktrace]\n", b" at /vendor/",
     b"\n#1 ", b'{"', b"\n", b"(1): ", b" in /a:1\nStack trace:", b"[9999-99-99 99:99:99] x.ALERT: ", b"SQL: "])),
    max_size=40).map(b"".join), inside=st.integers(0, 2), end=st.booleans())
def test_no_soup_of_bytes_makes_it_raise_or_take_what_is_not_there(data: bytes, inside: int, end: bool) -> None:
    scan = Scan(WIB)
    taken, after = scan.take(data, inside, end)
    assert 0 <= taken <= len(data)
    assert after in (0, 1, 2)
    assert taken == len(data) or not end
    seen = scan.seen
    assert sum(problem.count for problem in seen.problems.values()) + seen.crowded == sum(
        seen.levels[level] for level in LEVELS[4:])
    assert taken or seen == Seen(nul=seen.nul)


def test_a_flood_of_problems_channels_and_wordings_stays_bounded() -> None:
    letters = ["".join(chr(97 + number // 26**place % 26) for place in range(4)) for number in range(3 * MOST)]
    flood = "".join(f"[2026-11-22 19:10:33] c{word}.ERROR: {word}  \n" for word in letters)
    seen = scanned(flood + thrown("/k/app/A.php:7"))
    assert len(seen.problems) == MOST + 1  # the flood of words does not hide what was thrown
    assert seen.problems["E app/A.php:7"].count == 1
    assert (seen.crowded, seen.levels["ERROR"], len(seen.counts) < 100) == (2 * MOST, 3 * MOST + 1, True)


START = b"\n[2026-11-22 19:10:33] p.ERROR: "


@pytest.mark.parametrize("unit", [
    START, START + b"[object] (E(code: 0): ", START + b"x" * 50, b"\n[2026-11-22 19:10:33] " + b"p" * 64, b"\n[", b"\0",
    b"[object] (", b"[object] (E(code: 0): ", b" at /vendor/", b"\n#1 /vendor/(", b"\n#1 /a/b(", b"a", b"\n",
    START + b"a: in /x:1 in ", START + b"E: [object] (E(code: 0): x at /%d/vendor/x:1)\n[stacktrace]\n#0 /%d/a(1): ",
])
def test_hostile_bytes_cost_no_more_than_others(unit: bytes) -> None:
    """Twice the bytes may cost twice the time; a quadratic reader would need minutes for these."""
    count = 4 * 2**20 // len(unit)
    data = b"".join(unit % (number, number) for number in range(count)) if b"%d" in unit else unit * count
    scan, at, inside = Scan(WIB), 0, 0
    began = time.process_time()
    while at < len(data):
        taken, inside = scan.take(data[at:at + 2**20], inside, True)
        at += taken
    assert time.process_time() - began < 4


def test_a_file_is_followed_and_an_open_entry_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    log.write_text(REAL + QUERY[:500])
    written = log.stat().st_mtime
    scan = Scan(WIB)
    place = follow(str(log), None, scan.take, now=written).place
    assert sum(scan.seen.counts.values()) == 9
    with log.open("a") as file:
        file.write(QUERY[500:])
    scan = Scan(WIB)
    follow(str(log), place, scan.take, now=written + 60)
    assert list(scan.seen.problems) == ["UniqueConstraintViolationException app/Services/MemberService.php:88"]


@pytest.mark.parametrize(("stamp", "written", "now", "off"), [
    (AT, AT, AT, 0), (AT, AT + 29, AT + 40, 0), (AT + 299, AT, AT, 0),
    (AT - 7 * 3600, AT + 2, AT + 5, 25200),  # the app writes UTC, and we believe it writes WIB
    (AT + 7 * 3600, AT, AT, -25200),
    (AT - 5.5 * 3600, AT, AT, 19800),
    (AT - 3000, AT, AT, 0), (AT - 30 * 3600, AT, AT, 0),  # touched since, not skewed
    (AT + 1000, AT, AT, -1000),  # in the future by no known zone: wrong all the same
])
def test_a_zone_that_cannot_be_is_told_by_its_hours(stamp: float, written: float, now: float, off: float) -> None:
    assert skew(stamp, written, now) == off
