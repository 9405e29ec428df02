"""Lines of other people's logs, made fit for people: what happened stays, whom it happened to goes.

Masked are e-mail addresses, telephone and identity numbers (NIK), amounts of money, values in SQL, quoted words that
are not names of tables, columns, classes and the like, passwords, keys and tokens. A person's name in running text
cannot be told from any other word: it stays.
"""

import re
from itertools import pairwise

LENGTH = 1000  # characters that are looked at, so that no line costs more than a few milliseconds
HIDDEN = "***"

_MONEY = re.compile("amount|total|nominal|jumlah|saldo|harga|price|balance|bayar|kembalian|setoran|simpanan|tabungan"
                    "|pinjaman|angsuran|cicilan|denda|bunga|gaji|salary|omzet|laba|biaya|fee|debit|kredit|credit", re.I)
_KEY = (r"(?:passw(?:or)?d|passwd|pwd|sandi|secret|token|(?:api|app|auth|access|client|private|secret|server)[ _-]?key"
        r"|authorization|cookie|pin|otp)")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ADDRESS = rf"{_OCTET}(?:\.{_OCTET}){{3}}(?!\d)"
_UNIT = r"(?! ?(?:bytes?|[kKMG]i?B|ms|milliseconds?|s|seconds?|detik|x)\b)"
# Each with what a text must hold to be looked through at all, which saves half of the time.
_MASKS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple((needle, re.compile(pattern), instead)
                                                             for needle, pattern, instead in (
    ("://", r"(?<=://)[^\s/@]*@", f"{HIDDEN}@"),  # https://user:password@host
    ("?", r"(?<=\w)\?[\w.%\[\]-]+=[^\s'\")]*", f"?{HIDDEN}"),  # what a URL asks for
    ("bot", r"\bbot\d{6,}:[\w-]{20,}", f"bot{HIDDEN}"),  # Telegram has its token in the path
    (" ", r"\b(Bearer|Basic) [\w.~+/=-]{8,}", rf"\1 {HIDDEN}"),
    ("", rf"(?i)((?<![a-z]){_KEY}\b[\"']?\s*(?:=>|[=:])\s*[\"']?)(?!(?:YES|NO)\))[^\s\"',;&)]+", rf"\1{HIDDEN}"),
    ("Mid-", r"(?<![\w-])(?:[A-Z]{2}-)?Mid-(?:server|client)-[\w-]+", HIDDEN),  # Midtrans
    # Tokens by their looks: JWT; 24 and more of small and capital letters and digits; of hexadecimal digits
    ("base64:", r"\bbase64:[\w+/=]{16,}", f"base64:{HIDDEN}"),  # Laravel's APP_KEY
    ("eyJ", r"(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?", HIDDEN),
    ("", r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[\w-]{24,}", HIDDEN),
    ("", r"(?<![\w-])[0-9a-fA-F]{24,}(?![\w-])", HIDDEN),
    ("@", r"(?<![\w.%+-])([\w%+])[\w.%+-]*@((?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,})", rf"\1{HIDDEN}@\2"),
    ("", r"(?i)\b(Rp|IDR)\.? ?-?\d(?:[.,]?\d)*", rf"\1 {HIDDEN}"),
    # 1.500.000,00 and 1,500,000.00, but no addresses; 150000.00
    (".", rf"(?<![\w.,])(?!{_ADDRESS})\d{{1,3}}(?:\.\d{{3}})+(?:,\d{{1,2}})?(?![\w.])", HIDDEN),
    (",", r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?(?![\w,])", HIDDEN),
    (".", rf"(?<![\w.])\d+\.\d{{2}}(?![\w.]){_UNIT}", HIDDEN),
    # NIK and account numbers in groups: 3173-0512-0190-0001, 123-456-7890; no date and no UUID
    ("", r"(?<![\w.-])(?<!\+\d\d )\d{3,4}(?:[ -]\d{3,4}){2,}(?![\w-])", HIDDEN),
    # telephone numbers: +62 812-3456-7890, 0812 3456 7890, 0812.3456.7890, 021-5551234
    ("", r"(?<![\w.+-])(?:\+\d{1,3}[ -]?|62|0)\d{2,3}(?:[ .-]?\d{3,5}){2,3}(?!\w)", HIDDEN),
    # NIK, account and member numbers, bare amounts; no SQLSTATE, no host:port, no order id, no size or duration
    ("", rf"(?<![\w.])(?<!SQLSTATE\[)(?<!\w:)(?<![A-Za-z]-)\d{{5,}}(?![\w-]){_UNIT}", HIDDEN),
))
# A word and the number behind it.
_COUNTED = re.compile(r"(?<![A-Za-z_])([A-Za-z_]{3,60})([\"']?\s?[=:]?\s?-?)\d(?:[.,]?\d){2,}")
# Quoted words, with what stands before or behind them: a name that belongs to the program stays.
_QUOTED = re.compile(r"""
    (?P<named> @ | \b(?i:column|key|table|class|method|property|field|index|function|variable|view|database|constraint
        |offset|trait|interface|constant|relationship|attribute|parameter|argument|route|driver|connection|disk|command
        |extension|collation|charset|engine|enum|denied\ for\ user)\s )?
    (?: (?<!\w)'(?P<single>[^']*)(?:'|$) | "(?P<double>(?:[^"\\]|\\.)*)(?:"(?P<colon>\s*:)?|$) )""", re.X)
_NAME = re.compile(r"[\w.\\$:/-]{1,80}")
_HARMLESS = re.compile(r"\d{0,3}|(?:field|where|order|on|having|group) (?:list|clause|statement)")
_UNPRINTABLE = re.compile(r"\s+|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

_QUERY = re.compile(r"\bSQL: ?(.*)", re.S)
_PIECE = re.compile(r"`[\w$. -]{1,64}`|[\w$]+(?:\.[\w$]+)*|[=<>!*,().+%/-]|\s+|.", re.S)
_SQL = """
    select insert update delete replace into from where and or not in is null like between exists as on using join inner
    left right outer cross natural group by order having limit offset distinct union all set values case when then else
    end asc desc count sum avg min max coalesce ifnull date year month day now cast convert concat lower upper interval
    ignore duplicate key for share lock table create alter drop truncate add column index primary foreign references
    begin commit rollback start transaction call with recursive over partition json_extract json_unquote greatest least
    """
_KEYWORDS = frozenset(_SQL.split())
_TABLES = frozenset(("from", "into", "update", "join", "table"))  # a table's name follows
_VALUES = frozenset(("where", "values", "set", "having", "on", "limit"))  # from here on, values may stand

# Of a statement that stands as it was sent: what is named, commented, text, hexadecimal, a number.
_LITERAL = re.compile(
    r"`[^`]*`|/\*.*?(?:\*/|$)|(?:--\s|#)[^\n]*|[xXbBnN]?'(?:[^'\\]|\\.|'')*(?:'|$)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|$)"
    r"|(?<![\w`.@$])[-+]?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\w)", re.S)
_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)(?:\s*,\s*\(\s*\?(?:\s*,\s*\?)*\s*\))*")


def masked(text: str, length: int = 200) -> str:
    """One line of at most `length` characters, fit for a message: see this module."""
    text = _line(text[:LENGTH])
    query = _QUERY.search(text) if "SQL:" in text else None
    before = text[:query.start(1)] if query else text
    if "'" in before or '"' in before:
        before = _QUOTED.sub(_unquoted, before)
    before = _COUNTED.sub(_uncounted, before)
    for needle, pattern, instead in _MASKS:
        if needle in before:
            before = pattern.sub(instead, before)
    return _cut(before + _interpolated(query[1]) if query else before, length)


def statement(sql: str, length: int = 200) -> str:
    """The shape of an SQL statement as a server writes it: values become `?`, lists of them `(?)`, comments go."""
    bare = _LITERAL.sub(lambda match: match[0] if match[0][0] == "`" else " " if match[0][:2] in ("/*", "--")
                        or match[0][0] == "#" else "?", sql[:LENGTH])
    return _cut(_LIST.sub("(?)", _line(bare).rstrip(";")), length)


def shape(text: str, length: int = 120) -> str:
    """What stays the same when a thing is said again of somebody else: no numbers, ids, names in capitals, values.

    To tell messages apart, not to be shown: hash it.
    """
    words = re.sub(r"(?<=[a-z,:;] )(?:[A-Z][\w'.]*[ ,]{0,2})+", "~ ", masked(text, 2 * length)).split()
    told = ["#" if HIDDEN in word or re.search(r"\d", word) else word for word in words]
    return _cut(" ".join(word for before, word in pairwise(["", *told]) if word != "#" or before != "#"), length)


def _unquoted(match: re.Match[str]) -> str:
    """A quoted word: as it is, if it is a name or harmless; else hidden."""
    word = match["single"] if match["single"] is not None else match["double"]
    if match["colon"] or _HARMLESS.fullmatch(word) or (match["named"] and _NAME.fullmatch(word)):
        return match[0]
    quote = "'" if match["single"] is not None else '"'
    return f"{match['named'] or ''}{quote}{HIDDEN}{quote}"


def _uncounted(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{HIDDEN}" if _MONEY.search(match[1]) else match[0]


def _interpolated(sql: str) -> str:
    """Laravel's QueryException puts bare values into the statement: only what is surely SQL is left of it."""
    out: list[str] = []
    table, names = False, True  # a table's name comes next; no values have begun yet
    for piece in _PIECE.findall(sql):
        word = piece.lower()
        if piece.isspace():
            out.append(" ")
            continue
        known = word in _KEYWORDS or (len(piece) > 1 and piece[0] == "`") or piece in "=<>!*,()."
        out.append(piece if known or (table and names and re.fullmatch(r"[a-z_][a-z0-9_.]*", piece)) else "?")
        names, table = names and word not in _VALUES, word in _TABLES
    return re.sub(r"\?(?:[\s,.]*\?)*", "?", re.sub(r"\s+", " ", "".join(out))).strip()


def _line(text: str) -> str:
    """One line of what can be printed."""
    return " ".join((text if text.isprintable() else _UNPRINTABLE.sub(" ", text)).split())


def _cut(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[:length - 1] + "…"
