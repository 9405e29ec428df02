"""The sql collector's first lock: what could write, lock, wait or reach a file is never sent."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.sql_guard import Statement

READS = [  # sent as written, but for comments and the last semicolon
    "SELECT 1",
    "( SELECT 1 ) UNION ALL (SELECT 2)",
    "WITH old AS (SELECT id FROM t) SELECT COUNT(*) FROM old",
    "SHOW GLOBAL STATUS LIKE 'Threads%'",
    "SELECT REPLACE(code, '-', ''), INSERT('abc', 1, 0, 'x') FROM accounts",
    "SELECT 'DELETE FROM t; -- INTO OUTFILE' AS text",
    "SELECT \"it's; UPDATE\", 'say \\'; DROP', 'two ''; quotes'",
    "SELECT `update`, `into`, t.`delete` FROM t",
    "SELECT a--1 FROM t",
    "SELECT updated_at, sleeping, lock_version, benchmark FROM t WHERE old_share > 0",
    "SELECT model_type FROM audit_logs WHERE model_type = 'App\\\\Models\\\\Loan'",
]

REFUSED = [
    ("", "is empty: write a SELECT"),
    (" -- SELECT 1", "is empty: write a SELECT"),
    ("UPDATE t SET a = 1", 'begins with "UPDATE": only SELECT, WITH and SHOW read and do nothing else'),
    ("(DELETE FROM t)", 'begins with "DELETE": only SELECT, WITH and SHOW read and do nothing else'),
    ("SET GLOBAL read_only = 0", 'begins with "SET": only SELECT, WITH and SHOW read and do nothing else'),
    ("CALL close_year()", 'begins with "CALL": only SELECT, WITH and SHOW read and do nothing else'),
    ("`SELECT` 1", 'begins with "`SELECT`": only SELECT, WITH and SHOW read and do nothing else'),
    ("SELECT 1; DROP TABLE t", "holds more than one statement: write one query for each"),
    ("SELECT 1 -- x\n; DELETE FROM t", "holds more than one statement: write one query for each"),
    ("SELECT 1;;SELECT 2", "holds more than one statement: write one query for each"),
    ("WITH a AS (SELECT 1) DELETE FROM t", "is refused: DELETE writes"),
    ("WITH a AS (SELECT 1) UPDATE t SET a = 1", "is refused: UPDATE writes, and FOR UPDATE locks rows"),
    ("WITH a AS (SELECT 1) REPLACE t VALUES (1)", "is refused: REPLACE writes"),
    ("SELECT * FROM t FOR UPDATE", "is refused: UPDATE writes, and FOR UPDATE locks rows"),
    ("SELECT * FROM t fOr/**/sHaRe", "is refused: FOR SHARE locks rows"),
    ("SELECT * FROM t LOCK IN SHARE MODE", "is refused: LOCK IN SHARE MODE locks rows"),
    ("SELECT * INTO OUTFILE '/var/www/x.php' FROM t", "is refused: INTO writes to a file or a variable"),
    ("SELECT a INTO\nDUMPFILE '/tmp/x' FROM t", "is refused: INTO writes to a file or a variable"),
    ("SELECT a INTO @x FROM t", "is refused: INTO writes to a file or a variable"),
    ("SELECT sleep(10)", "calls SLEEP, which makes the server wait"),
    ("SELECT 1 WHERE SLEEP /* */ (10)", "calls SLEEP, which makes the server wait"),
    ("SELECT `benchmark`(1000000, MD5(1))", "calls BENCHMARK, which makes the server wait"),
    ("SELECT GET_LOCK('a', 10)", "calls GET_LOCK, which holds or frees locks of others"),
    ("SELECT LOAD_FILE('/etc/passwd')", "calls LOAD_FILE, which reads the server's files"),
    ("SELECT NEXTVAL(s)", "calls NEXTVAL, which moves a sequence on"),
    ("SELECT NEXT VALUE FOR s", "is refused: NEXT VALUE FOR moves a sequence on"),
    ("SELECT /*!50000 1 INTO OUTFILE '/x' */",
     "holds /*! …, a comment that the server runs as code: write it without"),
    ("SELECT /*M!100000 sleep(1) */", "holds /*M! …, a comment that the server runs as code: write it without"),
    ("SELECT /*+ MAX_EXECUTION_TIME(0) */ 1", "holds /*+ …, a comment that the server runs as code: write it without"),
    ("SELECT 'open", "holds ' that is never closed"),
    ("SELECT 'a\\'", "holds ' that is never closed"),
    ("SELECT 1 /* open", "holds /* that is never closed"),
    ("SELECT :yesterday", "holds :yesterday, which is not known: there is :now, :unix_now, :today, :new_year"),
    ("SELECT 1 WHERE :keys", "holds :keys, which is not known: there is :now, :unix_now, :today, :new_year"),
]


@pytest.mark.parametrize("sql", READS)
def test_what_reads_passes_as_it_was_written(sql: str) -> None:
    assert Statement(sql).fill({}) == sql


def test_comments_and_the_last_semicolon_are_not_sent() -> None:
    written = "SELECT 1 -- and then; DELETE nothing\n, 2 # INTO\n, 3 /* UPDATE; */ ; ; -- end"
    assert Statement(written).fill({}) == "SELECT 1  \n, 2  \n, 3"


@pytest.mark.parametrize(("sql", "says"), REFUSED)
def test_what_does_more_than_read_is_refused_with_a_reason(sql: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as refused:
        Statement(sql)
    assert str(refused.value) == says


def test_places_are_filled_in_code_and_nowhere_else() -> None:
    statement = Statement("SELECT ':now', `:now`, 1 /* :now */ WHERE at < :now AND day = :today -- :now")
    assert statement.places == {"now", "today"}
    assert (statement.fill({"now": "'2026-11-22 10:00:00'", "today": "'2026-11-22'"})
            == "SELECT ':now', `:now`, 1   WHERE at < '2026-11-22 10:00:00' AND day = '2026-11-22'")


BLANKS = st.sampled_from([" ", "\n", "\t", "/**/", " -- x\n", "#x\n", "/* a; b */"])
WRITES = st.sampled_from([
    ("DELETE", "FROM", "t"), ("UPDATE", "t", "SET", "a=1"), ("INSERT", "INTO", "t", "VALUES", "(1)"),
    ("SELECT", "a", "INTO", "OUTFILE", "'/x'"), ("SELECT", "SLEEP", "(", "1", ")"), ("SELECT", "1", "FOR", "UPDATE"),
    ("SELECT", "1", ";", "DROP", "TABLE", "t"), ("SELECT", "1", "LOCK", "IN", "SHARE", "MODE"),
    ("WITH", "a", "AS", "(SELECT 1)", "DELETE", "FROM", "t"),
])


@given(WRITES, st.data())
def test_neither_case_nor_comments_nor_line_breaks_hide_a_write(words: tuple[str, ...], data: st.DataObject) -> None:
    sql = "".join(data.draw(BLANKS) + "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in word)
                  for word in words)
    with pytest.raises(ValueError, match=r"refused|begins with|holds|calls"):
        Statement(sql)


@given(st.text(st.sampled_from("SELCT select1;'\"`\\/*#-!+:now()\n ")), st.sampled_from(["", "SELECT "]))
def test_any_text_is_either_refused_or_sent_whole(text: str, begin: str) -> None:
    try:
        statement = Statement(begin + text)
    except ValueError:
        return
    sent = statement.fill(dict.fromkeys(statement.places, "NULL"))
    assert Statement(sent).fill({}) == sent  # what is sent would be let through again: nothing new came to light
