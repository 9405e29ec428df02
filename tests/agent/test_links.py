"""Signed links: what they say, that nobody else can write one, and that they end."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent import links
from agent.links import BadLink, Expired, Link

KEY, NOW = bytes(range(32)), 1795312800.0
TOKEN = links.make(KEY, "K7M", NOW - 60.7, "budi", NOW)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize(("code", "contact"), [("K7M", "budi"), ("SK7MMM", "Bu Ani"), ("K7M", "")])
def test_a_link_says_again_what_was_put_in(code: str, contact: str) -> None:
    token = links.make(KEY, code, NOW - 60.7, contact, NOW, 3600)
    assert links.read(KEY, token, NOW) == Link(code=code, opened=NOW - 61, contact=links.contact_id(KEY, contact),
                                               expires=NOW + 3600)


def test_a_link_lasts_a_day_and_not_a_second_more() -> None:
    assert links.read(KEY, TOKEN, NOW + 86399).expires == NOW + 86400
    for late in (86400, 86401, 1e9):
        with pytest.raises(Expired):
            links.read(KEY, TOKEN, NOW + late)


def test_a_link_is_short_and_names_nobody() -> None:
    assert len(TOKEN) <= 50
    assert set(TOKEN) <= set(ALPHABET)
    assert b"budi" not in links._bytes(TOKEN)
    assert links.contact_id(KEY, "budi") != links.contact_id(bytes(32), "budi")  # no list of names helps to guess it


def test_no_letter_of_a_link_can_be_changed_left_out_or_added() -> None:
    changed = {TOKEN[:at] + other + TOKEN[at + 1:] for at in range(len(TOKEN)) for other in ALPHABET} - {TOKEN}
    shorter = {TOKEN[:at] + TOKEN[at + 1:] for at in range(len(TOKEN))}
    longer = {TOKEN[:at] + other + TOKEN[at:] for at in range(len(TOKEN) + 1) for other in "A_= \n"}
    for token in changed | shorter | longer:
        with pytest.raises(BadLink):
            links.read(KEY, token, NOW)


def test_a_new_key_ends_all_links() -> None:
    with pytest.raises(BadLink) as bad:
        links.read(bytes(32), TOKEN, NOW)
    assert not isinstance(bad.value, Expired)  # a stranger's guess is never told that it once was right


@given(st.text() | st.text(alphabet=ALPHABET, max_size=130))
@example("")
@example("=" * 8)
@example("é" * 40)
@example("A" * 100_000)
def test_junk_is_no_link(token: str) -> None:
    with pytest.raises(BadLink):
        links.read(KEY, token, NOW)


def test_a_buttons_seal_serves_that_button_of_that_link_alone() -> None:
    seal = links.seal(KEY, TOKEN, "ack")
    assert links.sealed(KEY, TOKEN, "ack", seal)
    other = links.make(KEY, "K7M", NOW, "ani", NOW)
    for key, token, action, given_seal in [(KEY, TOKEN, "refuse", seal), (KEY, other, "ack", seal),
                                           (bytes(32), TOKEN, "ack", seal), (KEY, TOKEN, "ack", ""),
                                           (KEY, TOKEN, "ack", seal + "A"), (KEY, TOKEN, "ack", "é\udc80")]:
        assert not links.sealed(key, token, action, given_seal)


def test_a_deeds_trace_tells_links_and_actions_apart_and_does_not_give_the_link_away() -> None:
    other = links.make(KEY, "K7M", NOW - 60.7, "budi", NOW + 1)
    traces = {links.trace(token, action) for token in (TOKEN, other) for action in ("ack", "refuse")}
    assert len(traces) == 4
    assert all(each.startswith("link:") and len(each) == 17 for each in traces)
    assert not any(piece in TOKEN for piece in traces)
