"""Vendors, network, clock and disk misbehave: who is told what and when, as docs/vendors.md says, and nothing twice."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from misbehaviours import TABLE, Row
from vendors_page import HEAD, PAGE, Played, play

SLACK = 15.0  # seconds between what the page says and what happened: one round of the self-check
ONCE = {"opened", "worsened", "acked", "resolved"}  # what nobody is to hear under two marks by one channel


def rows() -> list[object]:
    marks = {"tls": pytest.mark.needs_debian("openssl"),
             "small_disk": pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")}
    return [pytest.param(section, row, id=f"{section}: {row.name}",
                         marks=[mark for option, mark in marks.items() if getattr(row, option)])
            for section, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(("section", "row"), rows())
def test_people_are_told_what_the_page_says(section: str, row: Row, tmp_path: Path) -> None:
    played = play(row, tmp_path)
    for found, written in zip(cells(played.line(row)), cells(page()[section, row.name]), strict=True):
        assert [text for text, _ in found] == [text for text, _ in written]
        assert [at for _, at in found] == pytest.approx([at for _, at in written], abs=SLACK), found
    keeps_the_promises(row, played)


def keeps_the_promises(row: Row, played: Played) -> None:
    """What no new page may give up."""
    fault = [each for each in played.arrived for word in each.words if not word.about]
    assert min(each.at for each in fault) <= row.reached, "nobody knew in time"
    ended = {each.person for each in fault if any(word.reason == "resolved" for word in each.words)}
    assert ended == {each.person for each in fault}, "somebody was not told that it is over"
    words = [(each.person, each.channel, word) for each in played.arrived for word in each.words]
    copies = Counter((person, channel, word.about, word.mark) for person, channel, word in words)
    assert max(copies.values()) <= 1 + row.copies, "a message came too often"
    news = Counter((person, channel, word.about, word.reason)
                   for person, channel, word in set(words) if word.reason in ONCE)
    assert not [each for each, marks in news.items() if marks > 1], "the same was told as if it were new"
    assert not row.ails or any(each.partition(" ")[2].startswith(row.ails) for each in played.own)
    assert [what for what, _ in played.history].count("acked") == row.acks


def test_the_page_tells_of_these_misbehaviours_and_no_others() -> None:
    assert list(page()) == [(section, row.name) for section, rows in TABLE.items() for row in rows]
    assert PAGE.read_text("utf-8").startswith(HEAD)


def page() -> dict[tuple[str, str], str]:
    """The page's rows, by section and misbehaviour."""
    found, section = {}, ""
    for line in PAGE.read_text("utf-8").splitlines():
        section = line.removeprefix("## ") if line.startswith("## ") else section
        name = line.split(" | ")[0].removeprefix("| ")
        if line.startswith("| ") and name != "misbehaviour":
            found[section, name] = line
    return found


def cells(line: str) -> list[list[tuple[str, float]]]:
    """What each person got, and the incidents, in the order of the texts: each with its time in seconds."""
    return [sorted((text, int(minutes) * 60.0 + int(seconds)) for minutes, seconds, text in
                   re.findall(r"(\d+):(\d\d) (.+?)(?=<br>|$)", cell))
            for cell in line.strip("| ").split(" | ")[1:]]
