"""A statement's shape: the same for the same place in the code, and never a value of anybody's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.mysql_fingerprint import LONGEST, SHOWN, fingerprint

SHAPES = (
    ("select sleep(4)", "select sleep(?)"),
    ("SELECT *\n  FROM members\n WHERE nik = '3275011234560001'", "select * from members where nik = ?"),
    ("select id from t where a in (1,2, 3) and b in ('x')", "select id from t where a in (?+) and b in (?+)"),
    ("insert into t (a, b) values (1,'O''Brien'),(2,NULL),(-3,DEFAULT)", "insert into t (a, b) values (?+)"),
    ("update `my t`.`b` set n=n+1, x = -5 where name like '%u%'",
     "update `my t`.`b` set n=n+?, x = ? where name like ?"),
    ("select 1.5e-3, .5, 0xFF, x'4D', b'01', N'n', _utf8mb4'é', DATE '2026-11-22'",
     "select ?, ?, ?, ?, ?, ?, ?, date ?"),
    ("select 'one' 'value', \"another\"", "select ?, ?"),
    ("select a /* Budi */ from t -- Siti\n where b = 1 # Ani\n limit 10, 5", "select a from t where b = ? limit ?, ?"),
    ("select 1--1 from t where a=-b", "select ?--? from t where a=-b"),
    ("select /*!40001 SQL_NO_CACHE */ * from t", "select sql_no_cache * from t"),
    ("select /*!50000 'a*/Budi' */ 1", "select ? ?"),
    ("select @@version, @x := 5 from koperasi.log_2026", "select @@version, @x := ? from koperasi.log_2026"),
    ("grant select on a.* to 'jaga'@'localhost' identified by 'rahasia'", "grant select on a.* to ?@? identified by ?"),
    ("# administrator command: Ping", "administrator command: Ping"),
    ("# administrator command: Quit;", "administrator command: Quit"),
    ("select 'Budi", "select …"),  # cut
    ("select `Budi", "select …"),
    ("select /* Budi", "select"),
    ("insert into t values ('O\\'Brien', 'Budi')", "insert into t values ( …"),  # where it ends depends on sql_mode
    ("insert into t values ('{\\\"nama\\\": \\\"Budi\\\"}', \"\\'\")", "insert into t values (?+)"),
    ("select 'ends\\\\', 'Budi'", "select ?, ?"),
    ("create function f() language javascript as $$ Budi $$", "create function f() language javascript as …"),
    ("select a\\Budi", "select a …"),
    ("", ""),
    (" ; ", ""),
)


@pytest.mark.parametrize(("statement", "shape"), SHAPES)
def test_statements_have_a_shape(statement: str, shape: str) -> None:
    assert fingerprint(statement) == shape


def test_statements_that_differ_in_values_alone_have_the_same_shape() -> None:
    statements = [f"select * from sessions where id = '{name}' and last_activity > {at} and user_id in ({ids})"
                  for name, at, ids in (("aQ", 17, "1"), ("b''B", 999, "1, 2,3"), ("", 0, "'7'"))]
    assert len({fingerprint(statement) for statement in statements}) == 1


def test_a_shape_is_short_however_long_the_statement() -> None:
    statement = "insert into t values " + ", ".join(f"(now(), {n}, 'x')" for n in range(100_000))
    assert len(fingerprint(statement)) == SHOWN
    assert fingerprint("select '" + "x" * 2 * LONGEST) == "select …"


MARK = "zqxj"
HOSTILE = st.lists(st.sampled_from([MARK, "'", '"', "\\", "`", "--", " ", "#", "/*", "*/", "\n", ";", ",", "(", ")",
                                    "?", "\0", "é", "$$", "0", "@"]), max_size=12).map("".join)


def _backslashed(value: str, quote: str) -> str:
    """As the server writes it by default."""
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\0", "\\0") + quote


def _doubled(value: str, quote: str) -> str:
    """As it is written where sql_mode has NO_BACKSLASH_ESCAPES."""
    return quote + value.replace(quote, quote * 2) + quote


def _both(value: str, quote: str) -> str:
    return quote + value.replace("\\", "\\\\").replace(quote, quote * 2) + quote


STATEMENTS = st.sampled_from([
    "select * from members where name = {} and nik = {}", "insert into t (a,b) values ({},{}),(null, {})",
    "update t set a={}, b = concat({}, `c`) where d in ({}) -- note\n order by 1", "call p({},{})", "select {}{}",
    "/* note */ delete from t where a like {} or b<>{} # note", "select _utf8mb4{}, N{}"])
NUMBERS = st.one_of(st.integers(10_000_000, 10**15).map(str), st.integers(2**40, 2**60).map(hex),
                    st.floats(1e8, 1e20).map(repr))


@given(STATEMENTS, st.lists(HOSTILE, min_size=3, max_size=3), st.sampled_from([_backslashed, _doubled, _both]),
       st.sampled_from(["'", '"']), st.integers(0, 120))
@settings(max_examples=600)
def test_no_text_of_a_statement_is_in_its_shape(statement: str, values: list[str], written: object, quote: str,
                                                cut: int) -> None:
    literals = [written(value, quote) for value in values]  # type: ignore[operator]
    whole = statement.format(*literals)
    assert MARK not in fingerprint(whole)
    assert MARK not in fingerprint(whole[:cut])


@given(STATEMENTS, st.lists(NUMBERS, min_size=3, max_size=3))
def test_no_number_of_a_statement_is_in_its_shape(statement: str, values: list[str]) -> None:
    shape = fingerprint(statement.replace("_utf8mb4{}", "{}").replace("N{}", "{}").format(*values))
    assert not [digit for digit in "0123456789" if digit in shape]


@given(st.text(max_size=300))
def test_any_text_has_some_shape(statement: str) -> None:
    assert len(fingerprint(statement)) <= SHOWN
