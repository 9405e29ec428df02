"""A letter as HTML for a phone: inline styles only, light and dark alike, severity by word and shape beside colour."""

import re
from html import escape

from alerts.notification import Letter, Section
from alerts.phrases import Phrases, phrases
from alerts.text import line
from alerts.words import mark_line

# Shape and border differ, so that a grey screen or a colour-blind reader sees the difference too.
SHAPES = {"critical": ("◆", "6px solid #d32f2f"), "warning": ("▲", "6px dashed #b26a00")}
OVER = ("✓", "6px double #2e7d32")
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")

# No background and no text colour are set: the reader's own theme stays, dark or light.
PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
</head>
<body style="font-family:system-ui,sans-serif;font-size:16px;line-height:1.45;margin:0;padding:12px">
{sections}
{footer}</body>
</html>
"""


def html(letter: Letter) -> str:
    """The whole letter as an HTML page. Everything that came from outside is escaped."""
    words = phrases(letter.language)
    return PAGE.format(
        language=escape(letter.language),
        title=escape(line(letter.subject)),
        sections="\n".join(_section(section, words) for section in letter.sections),
        footer=_paragraph(letter.footer, "font-size:14px;opacity:.75") if letter.footer else "",
    )


def _section(section: Section, words: Phrases) -> str:
    over = section.reason in ("resolved", "test")
    shape, border = OVER if over else SHAPES.get(section.severity, SHAPES["warning"])
    heading = f'<h2 style="font-size:19px;line-height:1.3;margin:0 0 4px">{shape} {escape(section.headline)}</h2>\n'
    parts = [
        _paragraph(section.since, "margin:0 0 10px"),
        _paragraph(section.first, "margin:0 0 10px", words.first),
        _paragraph(section.answer, "margin:0 0 10px;font-weight:bold"),
        _evidence(section.detail),
        _paragraph(section.fix, "margin:0 0 10px;overflow-wrap:anywhere", words.fix),
        _paragraph(mark_line(section, words), "margin:0;font-size:14px;opacity:.75"),
    ]
    body = heading + "".join(parts)
    return f'<div style="border-left:{border};padding:2px 0 2px 12px;margin:0 0 20px">\n{body}</div>'


def _paragraph(text: str, style: str, label: str = "") -> str:
    if not text:
        return ""
    strong = f"<strong>{escape(label.strip())}</strong> " if label else ""
    return f'<p style="{style}">{strong}{_linked(text)}</p>\n'


def _evidence(text: str) -> str:
    style = "margin:0 0 10px;white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace;font-size:14px"
    return f'<pre style="{style}">{escape(text)}</pre>\n' if text else ""


def _linked(text: str) -> str:
    """Escaped, its web addresses made links; each piece is escaped by itself, so none can break out."""
    parts, end = [], 0
    for match in _LINK.finditer(text):
        url = escape(match[0])
        parts += [escape(text[end:match.start()]), f'<a href="{url}">{url}</a>']
        end = match.end()
    return "".join([*parts, escape(text[end:])])
