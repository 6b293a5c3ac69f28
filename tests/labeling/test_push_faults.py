"""Whatever befalls a push: after the next one every task lies before whom it should, once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from dataplat._lake import Lake
from dataplat.errors import LabelServerDenied, LabelServerError
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.testing.label_server import IMPORTS, Fault, Limits, to
from dataplat.testing.store_faults import CrashStore, SimulatedCrash

if TYPE_CHECKING:
    from conftest import Desk

FAULTS = {
    "drop, landed": Fault("drop"),
    "drop, lost": Fault("drop", passed=False),
    "hang": Fault("hang", seconds=2.0),
    "500, half": Fault("half"),
    "502, landed": Fault("status", status=502),
    "429": Fault("status", passed=False, status=429, retry_after=0.01),
}
REQUESTS = 12
"""More than a first push makes: a list of projects, three projects, another list, imports of four tasks each."""


def test_a_push_places_everything_once(desk: Desk) -> None:
    """Without any fault: each task before two people; a second push does nothing."""
    result = desk.queue.push()
    assert (result.tasks, sum(result.placed.values())) == (9, 18)
    desk.check_placed()
    desk.site.forget()
    again = desk.queue.push()
    assert (again.tasks, sum(again.placed.values())) == (0, 0)
    assert {each.method for each in desk.site.requests} == {"GET"}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_at_any_request(desk: Desk, fault: Fault) -> None:
    """One request goes wrong: that push, or the next, leaves no gap and no duplicate."""
    restore = desk.saved()
    for number in range(1, REQUESTS + 1):
        restore()
        desk.site.at(number, fault)
        with suppress(LabelServerError):
            desk.queue.push()
        desk.queue.push()
        desk.check_placed()


@pytest.mark.parametrize("count", [2, 3, 5])
def test_faults_at_many_requests(desk: Desk, count: int) -> None:
    """Every other import lands and nobody hears of it: pushes go on until all lies there, once."""
    for number in range(1, 12, count):
        desk.site.at(number, Fault("drop"), IMPORTS)
    for _ in range(8):
        with suppress(LabelServerError):
            desk.queue.push()
    desk.queue.push()
    desk.check_placed()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_write(desk: Desk, when: Any) -> None:
    """The process dies at any write of the lake: the next push goes on, and takes in what lies on the server."""
    restore = desk.saved()
    writes = CrashStore(restore(), operations=("create",))
    desk.lake = Lake(writes, "test", "memory")
    desk.queue.push()
    for number in range(1, writes.calls + 1):
        left = restore()
        desk.lake = Lake(CrashStore(left, number, when, operations=("create",)), "test", "memory")
        with suppress(SimulatedCrash):
            desk.queue.push()
        desk.lake = Lake(left, "test", "memory")
        desk.queue.push()
        desk.check_placed()


def test_two_pushes_at_once(desk: Desk) -> None:
    """Two callers at once place nothing twice, and agree on one project of each person."""
    for number in range(1, 5):
        desk.site.at(number, Fault("hang", seconds=0.05))
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(desk.queue.push) for _ in range(2)]:
            done.result()
    desk.queue.push()
    desk.check_placed()
    oldest = {each.description: each.id for each in reversed(desk.site.projects)}
    assert {task.project for task in desk.site.tasks()} == set(oldest.values())


def test_another_push_in_the_midst(desk: Desk) -> None:
    """Whatever one push has done so far, another one runs from begin to end: nothing lies there twice afterwards."""
    other = LabelStudioServer(desk.site.url, desk.site.token, budget=2.0)
    another = threading.Lock()  # on a busy machine the request it runs in is given up and sent again before it ends

    def push() -> None:
        with another:
            desk.lake.label_queue("q", server=other).push()

    for number in range(1, REQUESTS + 1):
        desk.lake.ingest(desk.rows(3, 100 + 3 * number), "rows")
        desk.site.at(number, Fault("call", do=push))
        desk.queue.push()
        with another:
            desk.site.forget()
        desk.queue.push()
        desk.check_placed()
    other.close()


def test_too_large_an_import_is_sent_in_parts(desk: Desk) -> None:
    """A server that takes less at once gets less at once."""
    desk.site.limits = Limits(import_tasks=3)
    desk.queue.push()
    desk.check_placed()
    desk.site.limits = Limits(import_bytes=700)
    desk.lake.ingest(desk.rows(20, 100), "rows")
    desk.queue.push()
    desk.check_placed()


def test_a_task_that_is_never_taken_says_so(desk: Desk) -> None:
    """Where not even one task is taken, the error says what the server said, and the rest of the lake is as it was."""
    desk.site.limits = Limits(import_bytes=10)
    with pytest.raises(LabelServerError, match="413"):
        desk.queue.push()
    desk.site.limits = Limits()
    desk.queue.push()
    desk.check_placed()


@pytest.mark.parametrize("limits", [Limits(page=2), Limits(order="backwards"), Limits(page=3, order="backwards")])
def test_pages_as_they_come(desk: Desk, limits: Limits) -> None:
    """However small pages are and in whatever order they list: what landed unheard is found."""
    desk.site.limits = limits
    for number in (1, 3, 4):
        desk.site.at(number, Fault("drop"), IMPORTS)
    with suppress(LabelServerError):
        desk.queue.push()
    desk.queue.push()
    desk.check_placed()


def test_a_token_that_expires_in_the_middle(desk: Desk) -> None:
    """The error says that the token is no good; with a new one the push goes on where it was."""
    desk.site.at(3, Fault("call", passed=False, do=desk.site.expire), IMPORTS)
    with pytest.raises(LabelServerDenied, match="token"):
        desk.queue.push()
    assert desk.placements()
    desk.server = LabelStudioServer(desk.site.url, desk.site.token, budget=2.0)
    desk.queue.push()
    desk.check_placed()
    desk.server.close()


def test_tasks_deleted_on_the_server_are_placed_again(desk: Desk) -> None:
    """Unanswered tasks that somebody deleted there are put there again; what was answered and pulled is not asked again."""
    desk.queue.push()
    desk.answer(4)
    desk.queue.pull()
    answered = {each.task for each in desk.site.annotations()}
    held = desk.queue.annotations.content_id
    lost = [task.id for task in desk.site.tasks() if task.id in answered][:2]
    desk.site.delete(*lost, *[task.id for task in desk.site.tasks() if not task.annotations][:5])
    desk.queue.push()
    assert len(desk.site.tasks()) == 16
    desk.queue.push()
    desk.queue.pull()
    assert len(desk.site.tasks()) == 16
    assert desk.queue.annotations.content_id == held


def test_a_project_deleted_on_the_server(desk: Desk) -> None:
    """Whoever deletes a whole project gets another one, with what is still to be asked."""
    desk.queue.push()
    desk.answer(2)
    desk.queue.pull()
    held = desk.queue.annotations.content_id
    project = desk.site.projects[0]
    answered = sum(bool(task.annotations) for task in project.tasks.values())
    with desk.site.lock:
        del desk.site.state.projects[project.id]
    desk.queue.push()
    desk.queue.push()
    assert len(desk.site.projects) == 3
    assert len(desk.site.tasks()) == 18 - answered
    desk.queue.pull()
    assert desk.queue.annotations.content_id == held


def test_a_copy_that_is_answered_while_copies_are_removed(desk: Desk) -> None:
    """Between the look at a copy and its deletion somebody answers it: the answer stays."""
    desk.queue.push()
    task = desk.site.tasks()[0]
    desk.server.import_tasks(task.project, [{"data": task.data}])
    copy = desk.site.tasks()[-1]
    owner = desk.owner(task.project)
    deletes = to("POST", "/api/dm/actions")
    desk.site.next(Fault("call", passed=False, do=lambda: desk.site.answer(copy.id, owner, desk.choice("b"))), deletes)
    desk.queue.push()
    desk.queue.pull()
    assert [each.result for each in desk.site.annotations()] == [desk.choice("b")]
    desk.check_pulled()
    desk.queue.push()
    desk.check_placed()


def test_a_lease_that_ends_while_somebody_answers(desk: Desk) -> None:
    """Of the tasks whose lease has ended the one that is answered just before they are moved stays, with its answer."""
    desk.queue.set(lease=0.0)
    desk.queue.push()
    task = desk.site.tasks()[0]
    owner = desk.owner(task.project)
    deletes = to("POST", "/api/dm/actions")
    desk.site.next(Fault("call", passed=False, do=lambda: desk.site.answer(task.id, owner, desk.choice("b"))), deletes)
    result = desk.queue.push()
    assert result.moved > 0
    assert [each.task for each in desk.site.annotations()] == [task.id]
    desk.queue.pull()
    desk.check_pulled()
    desk.check_placed()


def test_a_config_that_was_changed_on_the_server(desk: Desk) -> None:
    """The queue's config is shown again, which is said; answers that were given meanwhile stay."""
    desk.queue.push()
    project = desk.site.projects[0]
    desk.site.set_config(project.id, project.label_config.replace('value="a"', 'value="other"'))
    task = next(iter(project.tasks.values()))
    desk.site.answer(task.id, desk.owner(project.id), desk.choice("other"))
    result = desk.queue.push()
    assert any("config" in note for note in result.notes)
    assert 'value="other"' not in project.label_config
    desk.queue.pull()
    desk.check_pulled()
