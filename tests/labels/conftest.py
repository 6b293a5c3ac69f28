"""Flights, three people who know about delays, and a queue that asks them, on a fake Label Studio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest

from dataplat._labels import LabelQueue
from dataplat._labels._state import State
from dataplat._lake import Lake
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.testing.label_server import FakeLabelStudio

FLIGHTS = pa.table(
    {
        "flight_id": range(6),
        "carrier": ["AA", "BB", "AA", "BB", "AA", "AA"],
        "chart": [f"https://example.org/{number}.png" for number in range(6)],
        "dep_delay": [0.0, 10.0, 20.0, 30.0, 40.0, 40.0],  # the last two look the same
    }
)


@dataclass
class Desk:
    """A queue, and the people who answer it."""

    site: FakeLabelStudio
    lake: Lake
    queue: LabelQueue
    people: dict[str, int]

    @property
    def state(self) -> State:
        """What the lake knows of the queue."""
        return State.at_head(self.lake, self.queue.name, "main")

    def task(self, flight: int) -> str:
        """Return the task that a flight is."""
        from dataplat._labels._rows import source_rows

        rows = source_rows(self.state, ["flight_id"]).to_pylist()
        return next(row["task"] for row in rows if row["flight_id"] == flight)

    def placed(self, annotator: str) -> dict[str, int]:
        """Return the tasks before somebody, with their ids on the server."""
        rows = self.state.placements.to_pylist()
        return {row["task"]: row["id"] for row in rows if row["annotator"] == annotator}

    def say(self, annotator: str, labels: Mapping[int, Any], **more: Any) -> list[int]:
        """Have somebody answer flights; return the annotations' ids."""
        placed, config = self.placed(annotator), self.state.config
        return [
            self.site.answer(placed[self.task(flight)], self.people[annotator], config.result_of(label), **more)
            for flight, label in labels.items()
        ]


@pytest.fixture
def site() -> Iterator[FakeLabelStudio]:
    """A fake Label Studio."""
    with FakeLabelStudio() as serving:
        yield serving


@pytest.fixture
def desk_of(site: FakeLabelStudio, new_lake: Callable[[], Lake]) -> Iterator[Callable[..., Desk]]:
    """Return a function that makes a queue of the flights, with any options of queues."""
    servers = []

    def make(**options: Any) -> Desk:
        lake = new_lake()
        lake.ingest(FLIGHTS, into="flights", key=["flight_id"])
        people = {name: site.add_user(name) for name in ("anna", "bob", "cy")}
        servers.append(LabelStudioServer(site.url, site.token))
        asked = {} if "config" in options else {"choices": ["carrier", "weather", "other"]}
        given = {"show": ["carrier", "dep_delay"], "annotators": ["anna", "bob"], "overlap": 2} | asked | options
        queue = lake.label_queue("delays", source="flights", server=servers[-1], **given)
        return Desk(site, lake, queue, people)

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def answered(desk_of: Callable[..., Desk]) -> Desk:
    """A queue that both people answered: they disagree on flight 1 alone. Cy decides."""
    desk = desk_of(adjudicator="cy")
    desk.queue.push()
    right = {0: "carrier", 1: "weather", 2: "other", 3: "weather", 4: "carrier"}
    desk.say("anna", right, lead_time=2.0)
    desk.say("bob", right | {1: "carrier"}, lead_time=4.0)
    desk.queue.pull()
    return desk
