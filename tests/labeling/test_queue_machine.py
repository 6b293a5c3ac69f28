"""A queue through anything that can happen to it, against a plain model: people, pushes, pulls, faults, crashes."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dataplat._labels import _push
from dataplat._lake import Lake
from dataplat.errors import LabelServerError
from dataplat.labeling.label_studio import _calls, _http
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.lake.stores import MemoryStore
from dataplat.testing.label_server import FakeLabelStudio, Fault, Limits
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning.lakefile import create_lake

PEOPLE = ("anna", "ben", "cleo")
OVERLAP = 2
FAULTS = [
    Fault("drop"),
    Fault("drop", passed=False),
    Fault("torn"),
    Fault("half"),
    Fault("status"),
    Fault("status", passed=False),
    Fault("status", status=504),
    Fault("status", passed=False, status=429, retry_after=0.01),
]


def choice(value: str) -> list[dict[str, Any]]:
    """Return the result of a choice."""
    return [{"id": "r", "from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [value]}}]


class QueueMachine(RuleBasedStateMachine):
    """The model: what people said, by the annotation's id, and of which text; `pulled` is what came before it was lost."""

    def __init__(self) -> None:
        super().__init__()
        self.site = FakeLabelStudio()
        self.site.__enter__()
        self.server = LabelStudioServer(self.site.url, self.site.token, budget=1.0)
        self.store = MemoryStore()
        create_lake(self.store)
        self.lake = Lake(self.store, "test", "memory")
        self.people = {name: self.site.add_user(name) for name in PEOPLE}
        self.rows = 0
        self.said: dict[int, tuple[str, str, Any]] = {}  # annotation → text, person, result
        self.lost: dict[int, tuple[str, str, Any]] = {}  # of tasks that were deleted on the server
        self.taken_back: dict[int, dict[int, tuple[str, str, Any]]] = {}  # by task

    def teardown(self) -> None:
        """However it went: once nothing goes wrong any more all must be right. Then end the server."""
        try:
            if self.rows:
                self.settle_and_check()
        finally:
            self.server.close()
            self.site.__exit__()

    @initialize()
    def begin(self) -> None:
        """Make a queue of four rows."""
        self.ingest(4)
        self.lake.label_queue("q", "rows", show=["text"], choices=["a", "b"], overlap=OVERLAP, annotators=list(PEOPLE))
        self.queue().push()

    # ------------------------------------------------------------------------------------------------- dataplat's side

    @rule(count=st.integers(1, 3))
    def ingest(self, count: int) -> None:
        """More rows to ask about."""
        import pyarrow as pa

        numbers = range(self.rows, self.rows + count)
        self.lake.ingest(pa.table({"id": numbers, "text": [f"text {n}" for n in numbers]}), "rows", key="id")
        self.rows += count

    def queue(self, lake: Lake | None = None) -> Any:
        """Open the queue."""
        return (lake or self.lake).label_queue("q", server=self.server)

    @rule()
    def push(self) -> None:
        """Push."""
        with suppress(LabelServerError):
            self.queue().push()

    @rule(full=st.booleans())
    def pull(self, full: bool) -> None:
        """Pull."""
        with suppress(LabelServerError):
            self.queue().pull(full=full)

    @rule(at=st.integers(1, 30), pushes=st.booleans(), when=st.sampled_from(["before", "after"]))
    def crash(self, at: int, pushes: bool, when: Any) -> None:
        """Die at a write of the lake."""
        lake = Lake(CrashStore(self.store, at, when, operations=("create",)), "test", "memory")
        with suppress(SimulatedCrash, LabelServerError):
            queue = self.queue(lake)
            _ = queue.push() if pushes else queue.pull()

    @rule(at=st.integers(1, 8), fault=st.sampled_from(FAULTS))
    def go_wrong(self, at: int, fault: Fault) -> None:
        """Let a request to come go wrong."""
        self.site.at(at, fault)

    @rule(
        page=st.sampled_from([None, 1, 3]),
        order=st.sampled_from(["asked", "backwards"]),
        most=st.sampled_from([None, 1, 3]),
    )
    def limit(self, page: int | None, order: str, most: int | None) -> None:
        """Take less at once, list otherwise."""
        self.site.limits = Limits(page=page, order=order, import_tasks=most)

    # --------------------------------------------------------------------------------------------------- people's side

    def owner(self, project: int) -> str:
        """Return who a project is for."""
        return next(each for each in self.site.projects if each.id == project).description.rpartition(":")[2]

    def drawn(self, data: st.DataObject) -> Any:
        """Return one of the tasks."""
        tasks = {task.id: task for task in self.site.tasks()}
        return tasks[data.draw(st.sampled_from(sorted(tasks)), "task")]

    @precondition(lambda self: self.site.tasks())
    @rule(data=st.data(), value=st.sampled_from(["a", "b"]), skips=st.booleans())
    def answer(self, data: st.DataObject, value: str, skips: bool) -> None:
        """Somebody answers or skips a task, answered or not."""
        task = self.drawn(data)
        name = self.owner(task.project)
        result = [] if skips else choice(value)
        do = self.site.skip if skips else self.site.answer
        self.said[do(task.id, self.people[name], result)] = (task.data["text"], name, result)

    @precondition(lambda self: self.site.tasks())
    @rule(data=st.data(), at=st.integers(1, 8), passed=st.booleans())
    def answer_meanwhile(self, data: st.DataObject, at: int, passed: bool) -> None:
        """Somebody answers a task while dataplat is at a later request."""
        task = self.drawn(data)
        name = self.owner(task.project)

        def do() -> None:
            if task.id in {each.id for each in self.site.tasks()}:
                made = self.site.answer(task.id, self.people[name], choice("b"))
                self.said[made] = (task.data["text"], name, choice("b"))

        self.site.at(at, Fault("call", passed=passed, do=do))

    @precondition(lambda self: self.said)
    @rule(data=st.data(), value=st.sampled_from(["a", "b"]))
    def edit(self, data: st.DataObject, value: str) -> None:
        """Somebody changes an answer."""
        id = data.draw(st.sampled_from(sorted(self.said)), "annotation")
        text, name, _ = self.said[id]
        self.site.edit(id, choice(value))
        self.said[id] = (text, name, choice(value))

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Somebody takes an answer back."""
        id = data.draw(st.sampled_from(sorted(self.said)), "annotation")
        task = next(task for task in self.site.tasks() if id in {each.id for each in task.annotations})
        self.site.withdraw(id)
        self.taken_back.setdefault(task.id, {})[id] = self.said.pop(id)

    @precondition(lambda self: self.site.tasks())
    @rule(data=st.data())
    def begin_to_answer(self, data: st.DataObject) -> None:
        """Somebody begins an answer."""
        task = self.drawn(data)
        self.site.draft(task.id, self.people[self.owner(task.project)], choice("a"))

    @precondition(lambda self: self.site.tasks())
    @rule(data=st.data())
    def delete_task(self, data: st.DataObject) -> None:
        """Somebody deletes a task."""
        task = self.drawn(data)
        self.forget(task)
        self.site.delete(task.id)

    @precondition(lambda self: self.site.projects)
    @rule(data=st.data())
    def delete_project(self, data: st.DataObject) -> None:
        """Somebody deletes a project."""
        project = self.site.state.projects[data.draw(st.sampled_from(sorted(self.site.state.projects)), "project")]
        for task in project.tasks.values():
            self.forget(task)
        del self.site.state.projects[project.id]

    def forget(self, task: Any) -> None:
        """What was said of a task goes with it, unless it was pulled; nor can it be known what was taken back before."""
        for each in task.annotations:
            self.lost[each.id] = self.said.pop(each.id)
        self.lost |= self.taken_back.pop(task.id, {})

    @rule(minutes=st.integers(0, 600))
    def put_clock(self, minutes: int) -> None:
        """The server's clock goes forward."""
        now = self.site.state.clock.skew
        self.site.put_clock(now + timedelta(minutes=minutes))

    # ------------------------------------------------------------------------------------------------------ what holds

    def held(self) -> dict[int, tuple[str, str, Any]]:
        """Return what the lake holds."""
        queue = self.queue()
        texts = {row["task"]: json.loads(row["data"])["text"] for row in queue.tasks.to_arrow().to_pylist()}
        rows = queue.annotations.to_arrow().to_pylist()
        assert len({row["annotation"] for row in rows}) == len(rows)
        return {row["id"]: (texts[row["task"]], row["annotator"], json.loads(row["result"])) for row in rows}

    @invariant()
    def nothing_is_made_up(self) -> None:
        """Every answer in the lake was given, of that text by that person."""
        if self.rows and "q.annotations" in {each.name for each in self.lake.datasets()}:
            for id, (text, name, _) in self.held().items():
                given = self.said.get(id) or self.lost.get(id)
                if given is not None:
                    assert (text, name) == given[:2]

    @rule()
    def settle_and_check(self) -> None:
        """Once nothing goes wrong any more: no gap, no duplicate, no answer lost, doubled or of another row."""
        self.site.forget()
        before = self.held()
        self.queue().push()
        self.queue().pull()
        self.queue().push()
        self.queue().pull()
        held = self.held()
        note(f"said {self.said}, held {held}")
        kept = {id: row for id, row in held.items() if id not in self.said}
        assert {id: held.get(id) for id in self.said} == self.said
        assert set(kept) <= set(before)
        assert set(kept) <= set(self.lost)
        assert {id for id in self.lost if id in before} <= set(held)
        self.check_tasks()

    def check_tasks(self) -> None:
        """Each row is asked of as many people as it should, once."""
        tasks = self.site.tasks()
        used = {(each.data["text"], self.owner(each.project)) for each in tasks if each.annotations or each.drafts}
        open_ = [
            (each.data["text"], self.owner(each.project)) for each in tasks if not each.annotations and not each.drafts
        ]
        assert len(set(open_)) == len(open_), "asked twice"
        assert not used & set(open_), "asked again of who answered or began"
        placements = self.lake["q.placements"].to_arrow().to_pylist()
        texts = {row["task"]: json.loads(row["data"])["text"] for row in self.queue().tasks.to_arrow().to_pylist()}
        assert len(texts) == self.rows
        takes = {"open", "answered", "kept"}
        for task, text in texts.items():
            rows = [each for each in placements if each["task"] == task]
            taken = sum(each["state"] in takes for each in rows)
            passed = sum(each["state"] == "skipped" for each in rows)
            assert taken >= min(OVERLAP, len(PEOPLE) - passed), f"{text} is asked of {taken}"
        there = {each.id for each in tasks}
        lies = {each["id"]: each["state"] for each in placements}
        assert {id for id, state in lies.items() if state in {"open", "answered", "skipped"}} <= there
        for each in tasks:
            assert each.id in lies or any(each.id in row["copies"] for row in placements)


@pytest.mark.slow
class TestQueue(QueueMachine.TestCase):  # type: ignore[misc, name-defined]
    """Whatever happens to a queue."""

    settings = settings(
        max_examples=6,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase != Phase.shrink],  # each try takes seconds
    )

    def setUp(self) -> None:
        """Wait for nothing long."""
        self.kept = (_http.ANSWER, _http.LONG, _calls.PAUSES, _push._WAIT, _push._CHUNK)
        _http.ANSWER = _http.LONG = 2.0
        _calls.PAUSES, _push._WAIT, _push._CHUNK = (0.001,) * 2, 0.001, 3

    def tearDown(self) -> None:
        """Wait as ever."""
        _http.ANSWER, _http.LONG, _calls.PAUSES, _push._WAIT, _push._CHUNK = self.kept
