"""Figures as people read them: ratios, sizes, durations, Rupiah and clock times, in Indonesian and English."""

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from alerts.phrases import Phrases, phrases

_STEPS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SUFFIXES = ("_timestamp_seconds", "_bytes_per_second", "_per_second", "_ratio", "_seconds", "_bytes", "_rupiah",
             "_celsius")
_UTC = ZoneInfo("UTC")


def show(metric: str, value: float, language: str = "id", *, zone: ZoneInfo = _UTC, now: float = 0.0) -> str:
    """The value in the unit that the metric's suffix names: `show("jaga_disk_used_ratio", 0.804)` is "80,4 %".

    `zone` and `now` (unix seconds) matter to `_timestamp_seconds` alone.
    """
    words = phrases(language)
    if math.isnan(value):
        return words.unknown
    if math.isinf(value):
        return words.unlimited if value > 0 else "-" + words.unlimited
    match unit(metric):
        case "_timestamp_seconds":
            return clock(value, zone, language, now)
        case "_bytes_per_second":
            return _size(value, words) + "/s"
        case "_per_second":
            return _count(value, words) + "/s"
        case "_ratio":
            return _percent(value, words)
        case "_seconds":
            return _duration(value, words)
        case "_bytes":
            return _size(value, words)
        case "_rupiah":
            return rupiah(value)
        case "_celsius":
            return _number(value, 1, words) + " °C"
        case _:
            return _count(value, words)


def unit(metric: str) -> str:
    """The suffix that names the metric's base unit; "" for a plain count or a yes-or-no."""
    name = metric.removesuffix("_total")
    return next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")


def rupiah(value: float) -> str:
    """`Rp 1.234.567`: whole Rupiah, written alike in both languages."""
    if not math.isfinite(value):
        return "Rp ?"
    whole = round(value)
    return ("-" if whole < 0 else "") + "Rp " + f"{abs(whole):,}".replace(",", ".")


def clock(at: float, zone: ZoneInfo, language: str, now: float) -> str:
    """`02.14 WIB` today, `Sab 21 Nov 02.14 WIB` on another day, with the year in another year. Unix seconds."""
    words = phrases(language)
    try:
        then, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    except (ValueError, OverflowError, OSError):  # NaN, or beyond the years that a calendar has
        return words.unknown
    name = then.tzname() or ""
    time = then.strftime(words.clock) + " " + (f"UTC{name}" if name[:1] in ("+", "-") else name)
    if then.date() == today.date():
        return time
    year = f" {then.year}" if then.year != today.year else ""
    return f"{words.days[then.weekday()]} {then.day} {words.months[then.month - 1]}{year} {time}"


def ago(seconds: float, language: str = "id") -> str:
    """How long it has been, to the minute: "12 menit", "3 jam 20 menit", "kurang dari 1 menit"."""
    words = phrases(language)
    if not math.isfinite(seconds):
        return words.unknown
    return words.under_a_minute if seconds < 60 else _duration(seconds // 60 * 60, words)


def _number(value: float, places: int, words: Phrases) -> str:
    text = f"{value:,.{places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text == "-0":
        text = "0"
    return text.translate({ord(","): words.thousands, ord("."): words.decimal})


def _count(value: float, words: Phrases) -> str:
    small = 0 < abs(value) < 0.01  # must not be read as nought
    return f"{value:.1g}".replace(".", words.decimal) if small else _number(value, 2, words)


def _percent(value: float, words: Phrases) -> str:
    if abs(value) >= 100:  # "1.600 ×" is read more easily than "160.000 %"
        return _number(value, 0, words) + " ×"
    percent = value * 100
    if 0 < percent < 0.05:
        return "< " + _number(0.1, 1, words) + " %"
    if 99.95 <= percent < 100:  # nearly full is not full
        percent = 99.9
    return _number(percent, 1, words) + " %"


def _size(value: float, words: Phrases) -> str:
    sign, amount, step = "-" if value < 0 else "", abs(value), 0
    while step + 1 < len(_STEPS) and round(amount, 0 if amount >= 100 else 1) >= 1024:
        amount, step = amount / 1024, step + 1
    places = 1 if step and amount < 100 else 0
    return f"{sign}{_number(amount, places, words)} {_STEPS[step]}"


def _duration(value: float, words: Phrases) -> str:
    """At most two units; below ten seconds one decimal, below one second milliseconds."""
    sign, seconds = "-" if value < 0 else "", abs(value)
    if 0 < seconds < 0.9995:
        return f"{sign}{_number(max(seconds * 1000, 1), 0, words)} ms"
    if seconds < 9.95:
        return f"{sign}{_number(seconds, 1, words)} {words.second}"
    seconds = round(seconds)
    if seconds >= 3600:
        seconds = round(seconds / 60) * 60
    if seconds >= 86400:
        seconds = round(seconds / 3600) * 3600
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, words.day), (hours, words.hour), (minutes, words.minute), (rest, words.second)]
    shown = [f"{_number(amount, 0, words)} {name}" for amount, name in parts if amount]
    return sign + " ".join(shown)
