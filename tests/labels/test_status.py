"""How far a queue is, from what was pulled; and what comes next."""

from __future__ import annotations

import json

import pytest

from dataplat.errors import LabelError


def test_counts_are_of_tasks_and_people(answered):
    """Done, answers, and each person's count and time; who decides has a line once something lies there."""
    status = answered.queue.status()
    assert (status.tasks, status.done, status.started, status.annotations) == (5, 5, 0, 10)
    anna, bob = status.annotators
    assert (anna.name, anna.placed, anna.answered, anna.skipped, anna.open, anna.lead_time) == ("anna", 5, 5, 0, 0, 2.0)
    assert bob.lead_time == 4.0
    json.dumps(status.to_dict())
    answered.queue.adjudicate()
    assert [each.name for each in answered.queue.status().annotators] == ["anna", "bob", "cy"]


def test_a_skip_is_no_answer(desk_of):
    """Skipped tasks are told apart, and are not done."""
    desk = desk_of()
    desk.queue.push()
    desk.say("anna", {0: "carrier"})
    desk.site.skip(desk.placed("bob")[desk.task(0)], desk.people["bob"])
    desk.queue.pull()
    status = desk.queue.status()
    assert (status.done, status.started) == (0, 1)
    assert [(each.answered, each.skipped) for each in status.annotators] == [(1, 0), (0, 1)]


def test_next_is_the_first_open_task_of_the_queue(desk_of):
    """The page of somebody's next task follows the order of the queue; then nothing waits."""
    desk = desk_of()
    desk.queue.push()
    first, *rest = desk.state.tasks["task"].to_pylist()
    placed = desk.placed("anna")
    assert desk.queue.next("anna").endswith(str(placed[first]))
    for task in [first, *rest]:
        desk.site.answer(placed[task], desk.people["anna"], desk.state.config.result_of("other"))
    desk.queue.pull()
    with pytest.raises(LabelError, match="nothing waits for anna"):
        desk.queue.next("anna")
    with pytest.raises(LabelError, match="'dan' is not asked.*anna, bob"):
        desk.queue.next("dan")
