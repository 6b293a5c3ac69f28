"""Whatever befalls a pull: after the next one each answer is in the lake, once, about the row that it was given for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dataplat._lake import Lake
from dataplat.errors import LabelServerDenied, LabelServerError
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.testing.label_server import EXPORTS, Fault, Limits
from dataplat.testing.store_faults import CrashStore, SimulatedCrash

if TYPE_CHECKING:
    from conftest import Desk

FAULTS = {
    "drop": Fault("drop"),
    "hang": Fault("hang", seconds=2.0),
    "torn": Fault("torn"),
    "500": Fault("status"),
    "429": Fault("status", passed=False, status=429, retry_after=0.01),
}
REQUESTS = 12
"""More than a first pull makes."""


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """A queue whose tasks lie before people, of which six are answered and one is skipped; nothing is pulled yet."""
    desk.queue.push()
    desk.answer(6)
    task = next(each for each in desk.site.tasks() if not each.annotations)
    desk.site.skip(task.id, desk.owner(task.project))
    desk.site.forget()
    return desk


def head(desk: Desk) -> str:
    """Return the newest commit."""
    return desk.lake.refs.head("main").commit.id


def test_a_pull_brings_each_answer_once(asked: Desk) -> None:
    """Answers and skips come; a second pull finds nothing new and makes no commit."""
    assert asked.queue.pull().new == 7
    asked.check_pulled()
    before = head(asked)
    assert asked.queue.pull().commit is None
    assert asked.queue.pull(full=True).commit is None
    assert head(asked) == before


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_at_any_request(asked: Desk, fault: Fault) -> None:
    """One request goes wrong: that pull, or the next, brings all; a pull that fails leaves the lake as it was."""
    restore = asked.saved()
    for number in range(1, REQUESTS + 1):
        restore()
        before = head(asked)
        asked.site.at(number, fault)
        try:
            asked.queue.pull()
        except LabelServerError:
            assert head(asked) == before
        asked.queue.pull()
        asked.check_pulled()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write(asked: Desk, when: Any) -> None:
    """The process dies at any write of the lake: all of the pull is there, or nothing, and the next brings the rest."""
    asked.queue.pull()
    for answer in asked.site.annotations()[:2]:
        asked.site.edit(answer.id, asked.choice("b"))
    asked.site.withdraw(asked.site.annotations()[2].id)
    asked.answer(3, "b")
    restore = asked.saved()
    writes = CrashStore(restore(), operations=("create",))
    asked.lake = Lake(writes, "test", "memory")
    asked.queue.pull()
    for number in range(1, writes.calls + 1):
        left = restore()
        asked.lake = Lake(CrashStore(left, number, when, operations=("create",)), "test", "memory")
        with suppress(SimulatedCrash):
            asked.queue.pull()
        asked.lake = Lake(left, "test", "memory")
        assert asked.queue.annotations.rows in {7, 9}
        asked.queue.pull()
        asked.check_pulled()


def test_two_pulls_at_once(asked: Desk) -> None:
    """Two callers at once bring each answer once."""
    for number in range(1, 7):
        asked.site.at(number, Fault("hang", seconds=0.05))
    with ThreadPoolExecutor(2) as pool:
        results = [done.result() for done in [pool.submit(asked.queue.pull) for _ in range(2)]]
    assert sorted(each.new for each in results) == [0, 7]
    asked.check_pulled()


def test_people_go_on_while_a_pull_reads(asked: Desk) -> None:
    """At any request people answer, edit, skip and withdraw, and dataplat pushes and pulls: the next pull has it all."""
    other = LabelStudioServer(asked.site.url, asked.site.token, budget=2.0)

    people = threading.Lock()  # on a busy machine the request they go on in is given up and sent again before they end

    def meanwhile() -> None:
        with people:
            first, second, *_ = asked.site.annotations()
            asked.site.edit(first.id, asked.choice("b"))
            asked.site.withdraw(second.id)
            asked.answer(2, "b")
            asked.lake.ingest(asked.rows(2, 100), "rows")
            queue = asked.lake.label_queue("q", server=other)
            queue.push()
            asked.answer(1)
            queue.pull()
            asked.answer(1)

    restore = asked.saved()
    for number in range(1, REQUESTS + 1):
        restore()
        asked.site.at(number, Fault("call", passed=number % 2 == 0, do=meanwhile))
        asked.queue.pull()
        with people:
            asked.site.forget()
        asked.queue.pull()
        asked.check_pulled()
        asked.queue.push()
        asked.check_placed()
    other.close()


def test_an_export_is_no_snapshot(asked: Desk) -> None:
    """While a long export is read, an answer in its first part is edited and one in its last part given: both come.

    The first was changed long before the newest that was seen, so that what changed since then would miss it.
    """
    project = max(asked.site.projects, key=lambda each: sum(bool(task.annotations) for task in each.tasks.values()))
    first, *_, last = [task for task in project.tasks.values() if task.annotations]
    once = iter([True])

    def between() -> None:
        here = f"/projects/{project.id}/" in asked.site.requests[-1].path
        if here and next(once, False):
            asked.site.edit(first.annotations[0].id, asked.choice("b"))
            asked.site.put_clock(timedelta(minutes=10))
            asked.site.edit(last.annotations[0].id, asked.choice("b"))

    asked.site.limits = Limits(export=1, between=between)
    asked.queue.pull()
    asked.check_pulled()
    asked.queue.pull()
    asked.check_pulled()


def test_what_came_is_taken_back_while_the_rest_is_read(asked: Desk) -> None:
    """An answer that the first part of an export held and that is withdrawn before its last part is not there."""
    project = max(asked.site.projects, key=lambda each: sum(bool(task.annotations) for task in each.tasks.values()))
    first = next(task for task in project.tasks.values() if task.annotations)
    once = iter([True])

    def between() -> None:
        if f"/projects/{project.id}/" in asked.site.requests[-1].path and next(once, False):
            asked.site.withdraw(first.annotations[0].id)

    asked.site.limits = Limits(export=1, between=between)
    assert asked.queue.pull().new == 6
    asked.check_pulled()


def test_an_answer_that_took_long_to_be_seen(asked: Desk) -> None:
    """A server may write down when something changed before others can see it: a pull looks back a little."""
    asked.queue.pull()
    task = next(each for each in asked.site.tasks() if not each.annotations)
    late = max(each.updated_at for each in asked.site.annotations()) - timedelta(seconds=20)
    asked.site.answer(task.id, asked.owner(task.project), asked.choice("b"), at=late)
    asked.queue.pull()
    asked.check_pulled()


@pytest.mark.parametrize("hours", [-30, -2, 2, 30])
def test_a_server_whose_clock_is_wrong(desk: Desk, hours: int) -> None:
    """Only the server's own clock counts: it may be hours away from ours."""
    desk.site.put_clock(timedelta(hours=hours))
    desk.queue.push()
    desk.answer(3)
    desk.queue.pull()
    for answer in desk.site.annotations():
        desk.site.edit(answer.id, desk.choice("b"))
    desk.answer(3)
    desk.queue.pull()
    desk.check_pulled()
    assert desk.queue.pull().commit is None


def test_a_clock_that_is_put_back(asked: Desk) -> None:
    """What was answered by a clock that was put back far comes with a full pull, and what follows with the next ones."""
    asked.queue.pull()
    asked.site.put_clock(timedelta(hours=-1))
    asked.answer(2)
    asked.queue.pull(full=True)
    asked.check_pulled()


def test_an_answer_that_is_edited_after_the_pull(asked: Desk) -> None:
    """The edit comes with the next pull, as a change of the same answer; versions keep what was there before."""
    asked.queue.pull()
    before = asked.queue.annotations
    answer = asked.site.annotations()[0]
    asked.site.edit(answer.id, asked.choice("b"))
    result = asked.queue.pull()
    assert (result.new, result.changed, result.deleted) == (0, 1, 0)
    asked.check_pulled()
    assert before.rows == asked.queue.annotations.rows


def test_an_answer_that_is_taken_back(asked: Desk) -> None:
    """It goes with the next pull, and its task is open again."""
    asked.queue.pull()
    answer = asked.site.annotations()[0]
    asked.site.withdraw(answer.id)
    assert asked.queue.pull().deleted == 1
    asked.check_pulled()
    assert [each["state"] for each in asked.placements() if each["id"] == answer.task] == ["open"]


def test_an_answer_that_was_taken_back_long_ago(asked: Desk) -> None:
    """What a pull could not see to be gone goes with a full one."""
    asked.queue.pull()
    answer = asked.site.annotations()[0]
    asked.site.withdraw(answer.id)
    with asked.site.lock:
        asked.site.state.task(answer.task).updated_at -= timedelta(hours=1)
    asked.queue.pull()
    assert asked.queue.pull(full=True).deleted == 1
    asked.check_pulled()


def test_an_empty_answer(asked: Desk) -> None:
    """Somebody submitted nothing, and the server took it: it is an answer without a region, and no skip."""
    tasks = [each for each in asked.site.tasks() if not each.annotations][:2]
    for task, result in zip(tasks, ([], None), strict=True):
        asked.site.answer(task.id, asked.owner(task.project), result)
    asked.queue.pull()
    rows = asked.queue.annotations.to_arrow().to_pylist()
    empty = {row["result"]: row["skipped"] for row in rows if row["result"] in {"[]", "null"} and not row["skipped"]}
    assert empty == {"[]": False, "null": False}
    assert asked.queue.annotations.rows == 9
    assert {each["state"] for each in asked.placements() if each["id"] in {task.id for task in tasks}} == {"answered"}
    asked.queue.consensus()


def test_results_that_nobody_can_read(asked: Desk) -> None:
    """Whatever stands in a result is kept to the letter, and the others are read."""
    odd = [
        "text",
        {"a": 1},
        [1, None],
        [{"type": "choices"}],
        [{"id": 3, "from_name": "gone", "to_name": "text", "type": "choices", "value": {"choices": "a"}}],
        [{"id": "x", "from_name": "label", "to_name": "text", "type": "labels", "value": None}],
    ]
    tasks = [each for each in asked.site.tasks() if not each.annotations]
    ids = [
        asked.site.answer(task.id, asked.owner(task.project), result) for task, result in zip(tasks, odd, strict=False)
    ]
    asked.queue.pull()
    import json

    held = {row["id"]: json.loads(row["result"]) for row in asked.queue.annotations.to_arrow().to_pylist()}
    assert [held[id] for id in ids] == odd
    assert len(held) == 13


def test_two_answers_of_one_person(asked: Desk) -> None:
    """Who answers a task a second time leaves two answers, each with its own id."""
    asked.queue.pull()
    task = next(each for each in asked.site.tasks() if each.annotations)
    asked.site.answer(task.id, asked.owner(task.project), asked.choice("b"))
    assert asked.queue.pull().new == 1
    asked.check_pulled()


def test_somebody_else_answers(asked: Desk) -> None:
    """An answer is of who gave it, whosever project it lies in."""
    task = next(each for each in asked.site.tasks() if not each.annotations)
    stranger = asked.site.add_user("dora")
    asked.site.answer(task.id, stranger, asked.choice("b"))
    asked.queue.pull()
    asked.check_pulled()
    assert "dora" in asked.queue.annotations.to_arrow()["annotator"].to_pylist()


def test_tasks_that_others_put_there(asked: Desk) -> None:
    """What somebody imported by hand is left alone, answered or not, and is said."""
    project = asked.site.projects[0]
    (id,) = asked.server.import_tasks(project.id, [{"data": {"text": "by hand"}}])
    asked.site.answer(id, asked.owner(project.id), asked.choice("b"))
    result = asked.queue.pull()
    assert result.new == 7
    assert any("not of this queue" in note for note in result.notes)
    assert id in {task.id for task in asked.site.tasks()}


def test_tasks_deleted_on_the_server(asked: Desk) -> None:
    """What was pulled stays, whatever was deleted there; open tasks are asked again by the next push."""
    asked.queue.pull()
    held = asked.queue.annotations.content_id
    asked.site.delete(*[task.id for task in asked.site.tasks()])
    result = asked.queue.pull()
    assert result.gone == 11
    assert asked.queue.annotations.content_id == held
    assert asked.queue.pull(full=True).commit is None
    asked.queue.push()
    assert len(asked.site.tasks()) == 11
    assert asked.queue.annotations.content_id == held


def test_a_deletion_that_another_task_makes_up_for(asked: Desk) -> None:
    """One task was deleted and another put there: the counts say nothing, a full pull finds it."""
    asked.queue.pull()
    task = next(each for each in asked.site.tasks() if not each.annotations)
    asked.site.delete(task.id)
    asked.server.import_tasks(task.project, [{"data": {"text": "by hand"}}])
    assert asked.queue.pull(full=True).gone == 1


def test_answered_copies_count_for_their_task(asked: Desk) -> None:
    """A task that landed twice and was answered twice has two answers, of the same row; the next push adds nothing."""
    task = next(each for each in asked.site.tasks() if not each.annotations)
    copies = asked.server.import_tasks(task.project, [{"data": task.data}] * 2)
    owner = asked.owner(task.project)
    asked.site.answer(copies[0], owner, asked.choice("b"))
    asked.site.answer(copies[1], owner, asked.choice("a"))
    asked.queue.pull()
    asked.check_pulled()
    asked.queue.push()
    asked.check_placed()
    asked.site.edit(asked.site.annotations()[-1].id, asked.choice("b"))
    asked.site.withdraw(asked.site.annotations()[-2].id)
    asked.queue.pull()
    asked.check_pulled()


def test_a_config_that_was_changed_on_the_server(asked: Desk) -> None:
    """Answers given under it come whole, and each says under which config it was given; the pull says so, too."""
    asked.queue.pull()
    task = next(each for each in asked.site.tasks() if not each.annotations)
    project = next(each for each in asked.site.projects if each.id == task.project)
    asked.site.set_config(project.id, project.label_config.replace('value="a"', 'value="other"'))
    id = asked.site.answer(task.id, asked.owner(project.id), asked.choice("other"))
    result = asked.queue.pull()
    asked.check_pulled()
    assert any("config" in note for note in result.notes)
    configs = {row["id"]: row["config"] for row in asked.queue.annotations.to_arrow().to_pylist()}
    assert configs[id] != asked.queue._state.config.id


def test_a_token_that_expires_in_the_middle(asked: Desk) -> None:
    """The error says so, nothing is committed; with a new token the pull brings all."""
    before = head(asked)
    asked.site.next(Fault("call", passed=False, do=asked.site.expire), EXPORTS)
    with pytest.raises(LabelServerDenied, match="token"):
        asked.queue.pull()
    assert head(asked) == before
    asked.server = LabelStudioServer(asked.site.url, asked.site.token, budget=2.0)
    asked.queue.pull()
    asked.check_pulled()
    asked.server.close()


def test_a_project_that_was_deleted_on_the_server(asked: Desk) -> None:
    """What was pulled of it stays, and what follows is pulled of the others."""
    asked.queue.pull()
    project = asked.site.projects[0]
    lost = [row["id"] for row in asked.queue.annotations.to_arrow().to_pylist() if row["project"] == project.id]
    with asked.site.lock:
        del asked.site.state.projects[project.id]
    asked.answer(2)
    asked.queue.pull()
    ids = set(asked.queue.annotations.to_arrow()["id"].to_pylist())
    assert ids == {*lost, *(each.id for each in asked.site.annotations())}


@pytest.mark.parametrize("limits", [Limits(page=2), Limits(order="backwards"), Limits(page=3, order="backwards")])
def test_pages_as_they_come(asked: Desk, limits: Limits) -> None:
    """However small pages are and in whatever order they list, all that changed comes, once."""
    asked.site.limits = limits
    asked.queue.pull()
    for answer in asked.site.annotations():
        asked.site.edit(answer.id, asked.choice("b"))
    asked.answer()
    assert asked.queue.pull().changed == 7
    asked.check_pulled()


def test_the_order_of_delivery_does_not_matter(asked: Desk) -> None:
    """The same answers give the same content ids, whether they come in one pull or in many, edits on the way or not."""
    restore = asked.saved()
    asked.queue.pull()
    asked.answer(4, "b")
    edited = asked.site.annotations()[0]
    asked.site.edit(edited.id, asked.choice("b"))
    asked.queue.pull()
    asked.site.edit(edited.id, asked.choice("a"))
    asked.queue.pull()
    bit_by_bit = [each.content_id for each in (asked.queue.annotations, asked.queue.regions)]
    now = asked.site.state.projects
    restore()
    asked.site.state.projects = now
    asked.queue.pull()
    assert bit_by_bit == [each.content_id for each in (asked.queue.annotations, asked.queue.regions)]
