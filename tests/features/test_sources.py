"""Rows of sources: piece by piece, remembered, let go; parts nobody knew are not read; deletes, aliases, no entity, commits."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dataplat as dp
from dataplat._features import _sources
from dataplat._features._sources import ViewSource, together
from dataplat.feature_store.runs import Runs
from dataplat.feature_store.times import to_micros
from dataplat.lake.part import Part

COLUMN = "airport_weather__temp"


def part(number, rows):
    """Return a part of so many rows."""
    return Part(f"{number:064}", rows, rows, "", None)


@given(st.lists(st.integers(1, 700_000), max_size=16))
def test_small_parts_are_together(sizes):
    """Nothing is left out, no piece is larger than it may be, and none could be with the one before it but much smaller ones."""
    parts = [part(number, rows) for number, rows in enumerate(sizes)]
    pieces = list(together(parts))
    assert [each for piece in pieces for each in piece] == parts
    rows = [sum(each.rows for each in piece) for piece in pieces]
    assert all(count <= _sources.PIECE for count in rows)
    assert all(one > 3 * other or one + other > _sources.PIECE for one, other in pairwise(rows))


def test_few_rows_are_sorted_anew_while_a_dataset_grows():
    """Of a thousand small parts that come after a large one each row is sorted a few times, so is the large one."""
    parts = [part(0, 700_000), *(part(number, 1_000) for number in range(1, 1_001))]
    known, anew, large = set(), 0, set()
    for count in range(2, len(parts) + 1):
        pieces = {tuple(each.id for each in piece) for piece in together(parts[:count])}
        large |= {piece for piece in pieces if piece[0] == parts[0].id}
        anew += sum(1_000 * len(piece) for piece in pieces - known)
        assert len(pieces) <= 8
        known = pieces
    assert anew <= 12 * 1_000 * 1_000
    assert len(large) <= 4


@pytest.fixture
def grown(desk):
    """Return a desk whose weather came in four commits, hours 0 to 24."""
    for start in (6, 12, 18):
        desk.lake.ingest(desk.weather(range(start, start + 6)), into="weather")
    return desk


def spine(desk, *hours, airport="JFK"):
    """Return a row for each hour."""
    return {"airport": [airport] * len(hours), "t": [desk.hour(each) for each in hours]}


def test_parts_that_nobody_knew_are_not_read(grown, monkeypatch):
    """By their statistics; the answer is that of all parts, statuses too (PIT 15)."""
    monkeypatch.setattr(_sources, "PIECE", 1)
    monkeypatch.setattr(_sources, "_DAY", 0)
    asked = spine(grown, 2, 7.5, 8)
    source = ViewSource.of(grown.store, grown.view_of())
    assert [len(source.until(to_micros(pa.array([grown.hour(each)]), "t")[0]).parts) for each in (0, 8, 30)] == [
        1,
        2,
        4,
    ]
    some = grown.store.training_set(asked, grown.service, statuses=True, ages=True)
    monkeypatch.setattr(ViewSource, "until", lambda self, _: self)
    assert grown.store.training_set(asked, grown.service, statuses=True, ages=True).table.equals(some.table)


def test_what_cannot_matter_is_not_even_there(grown, monkeypatch):
    """An object of a part that nobody knew yet may be damaged: nobody looks at it."""
    monkeypatch.setattr(_sources, "PIECE", 1)
    monkeypatch.setattr(_sources, "_DAY", 0)
    last = grown.lake["weather"].parts[-1]
    read = []
    made = ViewSource._made
    monkeypatch.setattr(
        ViewSource, "_made", lambda self, parts: read.extend(each.id for each in parts) or made(self, parts)
    )
    grown.store.__dict__["runs"] = Runs(grown.store.runs.folder / "fresh")
    grown.store.training_set(spine(grown, 3), grown.service)
    assert read
    assert last.id not in read


def test_pieces_are_read_when_they_are_looked_at(grown, monkeypatch, tmp_path):
    """A growing dataset: only what is new is sorted; where nothing can be remembered each piece is made once and kept."""
    monkeypatch.setattr(_sources, "PIECE", 1)
    made = []
    make = ViewSource._made
    monkeypatch.setattr(ViewSource, "_made", lambda self, parts: made.append(len(parts)) or make(self, parts))
    grown.store.__dict__["runs"] = Runs(tmp_path / "runs")
    first = grown.store.training_set(spine(grown, 20), grown.service).table
    assert len(made) == 4
    grown.lake.ingest(grown.weather([30]), into="weather")
    assert grown.store.training_set(spine(grown, 20), grown.service).table.equals(first)
    assert len(made) <= 5
    (tmp_path / "file").write_text("in the way")
    grown.store.__dict__["runs"] = Runs(tmp_path / "file")
    made.clear()
    assert grown.store.training_set(spine(grown, 20), grown.service).table.equals(first)
    assert len(made) <= 5


def test_a_deleted_row_is_gone_from_the_version_on(grown):
    """The row before it is served again; the pinned set is as it was (PIT 19)."""
    view = grown.view_of(history="commits", known_at=None)
    service = dp.FeatureService("commits", [view])
    far = {"airport": ["JFK"], "t": [grown.lake["weather"].created + timedelta(days=1)]}
    before = grown.store.training_set(far, service)
    assert before.table[COLUMN].to_pylist() == [23.0]
    grown.lake.delete("weather", where="temp = 23.0")
    assert grown.store.training_set(far, service).table[COLUMN].to_pylist() == [22.0]
    assert before.rebuild().table.equals(before.table)


def test_two_aliases_are_the_view_twice(grown):
    """Each by its own column of the spine (PIT 21)."""
    view = grown.view_of()[["temp"]]
    service = dp.FeatureService(
        "both", [view.alias("a", on={"from": "airport"}), view.alias("b", on={"to": "airport"})]
    )
    made = grown.store.training_set({"from": ["JFK"], "to": ["LGA"], "t": [grown.hour(4)]}, service)
    assert (made.table["a__temp"].to_pylist(), made.table["b__temp"].to_pylist()) == ([4.0], [104.0])


def test_a_view_without_an_entity_is_one_value_for_all(grown):
    """As of the time of each row, whatever else the spine has (PIT 20)."""
    view = grown.view_of(entity=None, keys=None, where="origin = 'JFK'", features=["temp"])
    made = grown.store.training_set({"t": [grown.hour(5), grown.hour(1)]}, dp.FeatureService("all", [view]))
    assert made.table[COLUMN].to_pylist() == [5.0, 1.0]


def test_corrections_are_looked_for_piece_by_piece(desk, monkeypatch):
    """Whether one moves an event to another key is told without all rows in memory, few events at a time."""
    monkeypatch.setattr(_sources, "PIECE", 4)
    monkeypatch.setattr("dataplat.feature_store.kernel.order.EVENTS", 3)
    view = desk.view_of(row_key=["at", "kind"], features=["temp"], source="events")

    def rows(hours, airports, kind):
        table = desk.weather(hours, airports, late=float(kind))
        return table.append_column("kind", pa.array([f"{each}" for each in table["origin"].to_pylist()]))

    desk.lake.ingest(rows(range(6), ("JFK", "LGA"), 0), into="events")
    desk.lake.ingest(rows(range(6), ("JFK", "LGA"), 1), into="events")
    source = ViewSource.of(desk.store, view)
    assert len(source.parts) > 1
    assert source.apart
    assert "whole" not in source.__dict__
    moved = rows([3], ("JFK",), 2).set_column(0, "origin", pa.array(["LGA"]))
    desk.lake.ingest(moved, into="events")
    source = ViewSource.of(desk.store, view)
    assert not source.apart
    assert "whole" not in source.__dict__
