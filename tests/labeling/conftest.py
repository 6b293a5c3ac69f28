"""A queue, the fake Label Studio that it asks, and what must hold of the two after whatever happened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from dataplat._labels import LabelQueue, _push
from dataplat._lake import Lake
from dataplat.labeling.label_studio import _calls, _http
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.lake.stores import MemoryStore, Store
from dataplat.testing.label_server import FakeLabelStudio
from dataplat.versioning.lakefile import create_lake

PEOPLE = ("anna", "ben", "cleo")


@dataclass
class Desk:
    """One queue of a lake on a fake server; `site` is what people do there, `queue` what dataplat does."""

    site: FakeLabelStudio
    lake: Lake
    server: LabelStudioServer
    overlap: int = 2
    people: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Annotations of tasks that were deleted on the server after they had been pulled."""

    @staticmethod
    def choice(value: str) -> list[dict[str, Any]]:
        """Return the result of a choice."""
        return [{"id": "r", "from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [value]}}]

    @staticmethod
    def rows(count: int, start: int = 0) -> pa.Table:
        """Return so many rows to ask about."""
        return pa.table({"id": range(start, start + count), "text": [f"text {n}" for n in range(start, start + count)]})

    @property
    def queue(self) -> LabelQueue:
        """The queue, as somebody new opens it."""
        return self.lake.label_queue("q", server=self.server)

    def name(self, user: int) -> str:
        """Return who an account is."""
        return next(each.name for each in self.site.users if each.id == user)

    def answer(self, count: int | None = None, value: str = "a") -> list[int]:
        """Answer so many open tasks, each by whom it lies before; return the annotations' ids."""
        open_ = [task for task in self.site.tasks() if not task.annotations][:count]
        return [self.site.answer(task.id, self.owner(task.project), self.choice(value)) for task in open_]

    def owner(self, project: int) -> int:
        """Return the account that a project is for."""
        found = next(each for each in self.site.projects if each.id == project)
        return self.people[found.description.rpartition(":")[2]]

    def check_placed(self) -> None:
        """No gap and no duplicate: each task lies before as many people as it should, once before each."""
        wanted = set(self.queue.tasks.to_arrow(columns=["task"])["task"].to_pylist())
        lies = Counter((task.data["dataplat_id"], self.owner(task.project)) for task in self.site.tasks())
        unused = [task for task in self.site.tasks() if not task.annotations and not task.drafts]
        for task in unused:
            assert lies[task.data["dataplat_id"], self.owner(task.project)] == 1, f"task {task.id} is a duplicate"
        before = Counter(task for task, _ in lies)
        before.subtract(each["task"] for each in self.placements() if each["state"] == "skipped")
        gone = {each["task"] for each in self.placements() if each["state"] == "gone"}
        assert {task: before[task] for task in wanted - gone} == dict.fromkeys(wanted - gone, self.overlap)
        held = {(each["task"], self.people[each["annotator"]]) for each in self.placements() if each["state"] != "gone"}
        assert held >= set(lies), "the lake does not know of a task on the server"

    def check_pulled(self) -> None:
        """Each answer on the server is in the lake: once, whole, of the right task and person; nothing else is."""
        tasks = {task.id: task for task in self.site.tasks()}
        there = {each.id: each for each in self.site.annotations()}
        held = self.queue.annotations.to_arrow().to_pylist()
        by_id = {each["id"]: each for each in held if each["annotation"] not in self.gone}
        assert len({each["annotation"] for each in held}) == len(held)
        assert set(by_id) == set(there)
        for id, answer in there.items():
            row = by_id[id]
            assert row["task"] == tasks[answer.task].data["dataplat_id"]
            assert row["annotator"] == self.name(answer.completed_by)
            assert json.loads(row["result"]) == answer.result
            assert row["skipped"] == answer.was_cancelled
            assert row["updated_at"] == answer.updated_at
        regions = Counter(self.queue.regions.to_arrow()["annotation"].to_pylist())
        assert regions == {each["annotation"]: n for each in held if (n := len(json.loads(each["result"])))}

    def saved(self) -> Callable[[], MemoryStore]:
        """Return a function that brings lake and server back to what they are now, and returns the lake's store."""
        held, projects = copy_of(self.lake.store), deepcopy(self.site.state.projects)

        def restore() -> MemoryStore:
            store = copy_of(held)
            self.lake = Lake(store, "test", "memory")
            self.site.state.projects = deepcopy(projects)
            self.site.forget()
            return store

        return restore

    def placements(self) -> list[dict[str, Any]]:
        """Return what the lake knows of where tasks lie."""
        return self.lake["q.placements"].to_arrow().to_pylist()


def copy_of(store: Store) -> MemoryStore:
    """Return a store with the same objects."""
    made = MemoryStore()
    for info in store.list(""):
        made.create(info.key, store.read(info.key))
    return made


@pytest.fixture
def site() -> Iterator[FakeLabelStudio]:
    """A fake Label Studio of this test's own."""
    with FakeLabelStudio() as serving:
        yield serving


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing long: neither for answers nor before the next try."""
    monkeypatch.setattr(_http, "ANSWER", 0.5)
    monkeypatch.setattr(_http, "LONG", 0.5)
    monkeypatch.setattr(_calls, "PAUSES", (0.01,) * 3)
    monkeypatch.setattr(_push, "_WAIT", 0.01)
    monkeypatch.setattr(_push, "_CHUNK", 4)


@pytest.fixture
def connected(site: FakeLabelStudio) -> Iterator[Callable[[], LabelStudioServer]]:
    """Return a function that makes a client of the fake."""
    made: list[LabelStudioServer] = []

    def make() -> LabelStudioServer:
        made.append(LabelStudioServer(site.url, site.token, budget=2.0))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def desk_on(
    site: FakeLabelStudio, connected: Callable[[], LabelStudioServer], impatient: None
) -> Callable[[Lake], Desk]:
    """Return a function that makes a queue of nine rows, each asked of two of three people, in a lake."""

    def make(lake: Lake) -> Desk:
        desk = Desk(site, lake, connected())
        desk.people = {name: site.add_user(name) for name in PEOPLE}
        lake.ingest(Desk.rows(9), "rows", key="id")
        lake.label_queue("q", "rows", show=["text"], choices=["a", "b"], overlap=2, annotators=list(PEOPLE))
        return desk

    return make


@pytest.fixture
def desk(desk_on: Callable[[Lake], Desk]) -> Desk:
    """A queue in a lake in memory."""
    store = MemoryStore()
    create_lake(store)
    return desk_on(Lake(store, "test", "memory"))
