"""Orders of queues: what they look at in a lake, and what follows for all tasks."""

from __future__ import annotations

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.errors import LabelError
from dataplat.labeling import order


def test_a_sampled_queue_speaks_for_all_tasks(desk_of):
    """With a random order the answered beginning is a sample; all of it answered is the truth itself."""
    desk = desk_of(order=order.random(), overlap=1, annotators=["anna"])
    desk.queue.push()
    rows = {"flight_id": range(6), "label": ["carrier"] * 6}
    desk.lake.ingest(pa.table(rows), into="predictions", key=["flight_id"])
    truth = {0: "carrier", 1: "weather", 2: "carrier", 3: "carrier", 4: "carrier"}
    desk.say("anna", truth)
    desk.queue.pull()
    sample = desk.queue.sample()
    assert sample.population == pytest.approx(5)
    found = desk.queue.accuracy("predictions")
    assert found.value == pytest.approx(0.8)
    assert found.tasks == 5


def test_a_task_that_is_open_ends_the_sample(desk_of):
    """Only what lies before the first open task counts, each with a chance below 1."""
    desk = desk_of(order=order.random(), overlap=1, annotators=["anna"])
    desk.queue.push()
    by_position = desk.state.tasks["task"].to_pylist()
    placed, config = desk.placed("anna"), desk.state.config
    for task in [*by_position[:2], by_position[3]]:
        desk.site.answer(placed[task], desk.people["anna"], config.result_of("other"))
    desk.queue.pull()
    sample = desk.queue.sample()
    assert list(sample.tasks) == by_position[:2]
    assert (sample.probabilities < 1).all()


def test_a_fixed_order_says_nothing_of_the_others(desk_of):
    """There no estimate is given."""
    desk = desk_of(overlap=1)
    desk.queue.push()
    with pytest.raises(LabelError, match="random"):
        desk.queue.sample()


def test_what_a_model_is_unsure_of_comes_first(desk_of):
    """Rates follow the entropy of predictions, which are found by the key of the rows."""
    desk = desk_of(order=dp.uncertainty("predictions"), overlap=1)
    sure = [0.5, 0.99, 0.99, 0.99, 0.99, 0.99]
    chances = {"p_carrier": sure, "p_weather": [1 - each for each in sure]}
    desk.lake.ingest(pa.table({"flight_id": range(6)} | chances), into="predictions", key=["flight_id"])
    desk.queue.push()
    rate = {row["task"]: row["rate"] for row in desk.state.tasks.to_pylist()}
    assert max(rate, key=rate.__getitem__) == desk.task(0)
    assert sum(rate.values()) == pytest.approx(1)
    assert {row["stream"] for row in desk.state.tasks.to_pylist()} <= {"policy", "audit"}


def test_sql_may_fix_the_order(desk_of):
    """An order by a column is as it says, and keeps no rate."""
    desk = desk_of(order=order.sql("order by dep_delay desc"), overlap=1)
    desk.queue.push()
    tasks = desk.state.tasks.to_pylist()
    assert [row["task"] for row in tasks] == [desk.task(flight) for flight in (4, 3, 2, 1, 0)]
    assert {row["rate"] for row in tasks} == {None}


def test_corrections_come_first(desk_of):
    """What a version of the source changed is asked about first."""
    desk = desk_of(order=dp.corrections("flights"), overlap=1)
    new = pa.table({"flight_id": [2], "carrier": ["ZZ"], "chart": ["https://example.org/2.png"], "dep_delay": [20.0]})
    desk.lake.ingest(new, into="flights", mode="upsert", key=["flight_id"])
    desk.queue.push()
    rate = {row["task"]: row["rate"] for row in desk.state.tasks.to_pylist()}
    assert max(rate, key=rate.__getitem__) == desk.task(2)
