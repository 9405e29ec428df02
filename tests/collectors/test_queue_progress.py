"""Is anybody at work? What two looks at a queue tell, minute by minute."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.queue_progress import Progress, Seen, interrupted, progress

M = 60.0
NOW = 1_795_000_000.0


def seen(ready: int = 0, head: str = "", stays: bool = False, reserved: int = 0, stuck: int = 0,
         waits: float | None = None) -> Seen:
    """`waits`: minutes for which the first one has been waiting at NOW; None where it cannot be known."""
    return Seen(ready=ready, delayed=0, reserved=reserved, stuck=stuck, head=head, stays=stays,
                oldest=None if waits is None else NOW - waits * M)


IDLE = Progress(0.0, 0.0, 0.0)
# story: (minute, look, what it tells in minutes: oldest, unattended, behind); None: not known
STORIES = {
    "nobody waits": [(0, seen(), (0, 0, 0)), (1, seen(), (0, 0, 0)), (600, seen(), (0, 0, 0))],
    "jobs wait, and none is taken": [
        (0, seen(3, "a", waits=0), (0, 0, 0)),
        (1, seen(5, "a", stays=True, waits=0), (1, 1, 0)),
        (7, seen(5, "a", stays=True, waits=0), (7, 7, 0)),
    ],
    "they waited long before Jaga came": [(0, seen(3, "a", waits=40), (40, 40, 0))],
    "they waited long before Jaga came, and somebody holds a job": [
        (0, seen(3, "a", waits=40, reserved=1), (40, 0, 0)),
        (15, seen(3, "c", waits=30, reserved=1), (45, 0, 15)),
    ],
    "in Redis until Laravel 11 nothing is known at first, then as long as the first one stays": [
        (0, seen(3, "a"), (0, None, None)),
        (1, seen(4, "a", stays=True), (1, 1, 0)),
        (6, seen(9, "a", stays=True), (6, 6, 0)),
        (7, seen(8, "b"), (0, 0, None)),
        (8, seen(7, "c"), (0, 0, None)),
    ],
    "the worker dies in the middle of a job, and its hold on it runs out": [
        (0, seen(9, "a", waits=0, reserved=1), (0, 0, 0)),
        (1, seen(9, "b", waits=0, reserved=1), (1, 0, 1)),
        (2, seen(9, "b", stays=True, waits=0, reserved=1), (2, 0, 2)),
        (3, seen(9, "b", stays=True, waits=0, reserved=1, stuck=1), (3, 0, 3)),  # it may sleep between two jobs
        (5, seen(9, "b", stays=True, waits=0, reserved=1, stuck=1), (5, 3, 0)),
        (9, seen(9, "b", stays=True, waits=0, reserved=1, stuck=1), (9, 7, 0)),
    ],
    "a worker is at work and does not get done": [
        (0, seen(500, "a", waits=0), (0, 0, 0)),
        (1, seen(480, "b", waits=0), (1, 0, 0)),
        (11, seen(300, "c", waits=0), (11, 0, 10)),
        (16, seen(200, "d", waits=0), (16, 0, 15)),
        (17, seen(), (0, 0, 0)),
    ],
    "after hours without a worker it is not the new one that is behind": [
        (0, seen(500, "a", waits=0), (0, 0, 0)),
        (180, seen(500, "a", stays=True, waits=0), (180, 180, 0)),
        (181, seen(480, "b", waits=0), (181, 0, 0)),
        (186, seen(400, "c", waits=0), (186, 0, 5)),
    ],
    "the queue was empty for long, and then one waits": [
        (0, seen(1, "a", waits=0, reserved=1), (0, 0, 0)),
        (1, seen(), (0, 0, 0)),
        (300, seen(1, "b", waits=-299), (1, 1, 0)),
        (301, seen(1, "b", stays=True, waits=-299), (2, 2, 0)),
    ],
    "the clock went back": [
        (10, seen(1, "a", waits=0), (10, 10, 0)),
        (-5, seen(1, "a", stays=True, waits=0), (0, 0, 0)),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_what_looks_tell(story: list[tuple[int, Seen, tuple[float | None, float | None, float | None]]]) -> None:
    memory: dict[str, Any] = {}
    found = []
    for minute, look, _ in story:
        told = progress(memory, look, NOW + minute * M)
        found.append(tuple(None if each is None else each / M for each in (told.oldest, told.unattended, told.behind)))
    assert found == [told for _, _, told in story]


def test_after_the_store_was_away_waiting_is_counted_anew() -> None:
    memory: dict[str, Any] = {}
    progress(memory, seen(9, "a", waits=0, reserved=1), NOW)
    progress(memory, seen(9, "b", waits=0, reserved=1), NOW + M)
    interrupted(memory, NOW + 30 * M)
    idle = progress(copy.deepcopy(memory), seen(9, "b", stays=True, waits=0), NOW + 31 * M)
    busy = progress(copy.deepcopy(memory), seen(9, "c", waits=0, reserved=1), NOW + 31 * M)
    assert (idle, busy) == (Progress(31 * M, 1 * M, 0.0), Progress(31 * M, 0.0, 0.0))


def test_an_idle_queue_leaves_its_memory_as_it_is() -> None:
    memory: dict[str, Any] = {}
    progress(memory, seen(), NOW)
    before = copy.deepcopy(memory)
    interrupted(memory, NOW + M)
    progress(memory, seen(), NOW + 2 * M)
    assert memory == before == {"head": ""}


looks = st.lists(st.tuples(
    st.floats(-100, 5000), st.integers(0, 9), st.sampled_from(["", "a", "b"]), st.booleans(), st.integers(0, 2),
    st.integers(0, 2), st.none() | st.floats(-10, 5000)), max_size=12)


@given(looks)
def test_no_time_is_negative_and_nobody_is_both_at_work_and_missing(found: list[tuple[Any, ...]]) -> None:
    memory: dict[str, Any] = {}
    for after, ready, head, stays, reserved, stuck, waits in found:
        told = progress(memory, seen(ready, head, stays and bool(head), reserved, min(stuck, reserved), waits),
                        NOW + after)
        assert all(each is None or each >= 0 for each in (told.oldest, told.unattended, told.behind))
        assert not (told.unattended and told.behind)
        assert told == IDLE or head
