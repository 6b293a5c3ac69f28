"""Labelling functions over a queue's rows: held against people, and voting beside them."""

import polars as pl

from dataplat.labeling import labeling_function


def test_functions_are_asked_once_a_task_and_held_against_people(answered):
    """Each is told with its coverage and how often it is right where people agree; together they label all rows."""
    late = labeling_function(pl.col("dep_delay") >= 30, name="late", label="carrier")
    storm = labeling_function(lambda row: "weather" if row["carrier"] == "BB" else None, name="storm")
    found = answered.queue.weak([late, storm])
    table = {row["function"]: row for row in found.table.to_pylist()}
    assert found.tasks == 5
    assert table["late"]["votes"] == 2
    assert table["late"]["gold"] == 2
    assert table["late"]["accuracy"] == 0.5
    assert table["storm"]["accuracy"] == 1.0
    both = answered.queue.consensus("majority", weak=found)
    rows = {row["flight_id"]: row for row in both.rows().to_pylist()}
    assert rows[1]["label"] == "weather"
    assert rows[1]["votes"] == 3
    assert len(rows) == 6
