"""Rows by position: those that count, those deleted, and those deleted between two versions of a part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from dataplat.errors import IntegrityError
from dataplat.lake.deletes import stage_deletes
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.part import Part
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import scan
from dataplat.lake.stores import MemoryStore
from dataplat.lake.take import deleted_rows, positions_deleted_between, rows_deleted_between, written_rows

SCHEMA = pa.schema([("n", pa.int32())])
ROWS = 40


@pytest.fixture
def written() -> Iterator[tuple[Objects, Stage, Part]]:
    """A part of 40 rows in four row groups, and its stage."""
    store = MemoryStore()
    with Stage(store) as stage:
        writer = PartWriter(stage, SCHEMA, row_group_rows=10)
        writer.write(pa.record_batch({"n": pa.array(range(ROWS), pa.int32())}))
        [part] = writer.close()
        yield Objects(store, stage), stage, part


def without(stage: Stage, part: Part, positions: Iterable[int]) -> Part:
    """The part with these positions deleted."""
    return part.with_deletes(*stage_deletes(stage, list(positions)))


def numbers(batches: Iterator[pa.RecordBatch]) -> list[int]:
    """The values of the only column."""
    return [n for batch in batches for n in batch.column(0).to_pylist()]


positions = st.sets(st.integers(0, ROWS - 1))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(gone=positions, later=positions)
def test_each_row_is_in_one_place(written: tuple[Objects, Stage, Part], gone: set[int], later: set[int]) -> None:
    """Live and deleted rows make up the part, in order; between two versions it is the difference of deletes."""
    objects, stage, part = written
    before, after = without(stage, part, gone), without(stage, part, gone | later)
    assert numbers(scan(objects, [before], SCHEMA)) == sorted(set(range(ROWS)) - gone)
    assert numbers(deleted_rows(objects, before)) == sorted(gone)
    assert numbers(written_rows(objects, before)) == list(range(ROWS))
    assert numbers(rows_deleted_between(objects, [(before, after)], SCHEMA)) == sorted(later - gone)
    assert numbers(rows_deleted_between(objects, [(after, before)], SCHEMA)) == []
    assert list(positions_deleted_between(objects, before, after)) == sorted(later - gone)


def test_row_groups_without_them_are_not_read(written: tuple[Objects, Stage, Part], reads: object) -> None:
    """Only row groups that hold a row asked for are decoded."""
    objects, stage, part = written
    assert numbers(deleted_rows(objects, without(stage, part, [11, 35]))) == [11, 35]
    assert [group for _, group, _ in reads.calls] == [1, 3]  # type: ignore[attr-defined]


def test_rows_come_in_the_schema_asked_for(written: tuple[Objects, Stage, Part]) -> None:
    """Rows deleted between versions are widened, and filled with nulls, as the version's schema wants."""
    objects, stage, part = written
    wide = pa.schema([("n", pa.int64()), ("new", pa.string())])
    [batch] = rows_deleted_between(objects, [(part, without(stage, part, [3]))], wide)
    assert batch.schema == wide
    assert batch.to_pylist() == [{"n": 3, "new": None}]


def test_deleted_rows_come_as_they_were_written(written: tuple[Objects, Stage, Part]) -> None:
    """Deleted rows keep the part's own columns: that is what its digest is made of."""
    objects, stage, part = written
    [batch] = deleted_rows(objects, without(stage, part, [3]))
    assert batch.schema == SCHEMA


def test_deletes_that_are_missing(written: tuple[Objects, Stage, Part]) -> None:
    """Without its bitmap a part gives no rows at all, rather than deleted ones."""
    objects, _, part = written
    lost = part.with_deletes("ab" * 32, 2)
    with pytest.raises(IntegrityError, match="deleted rows would come back"):
        numbers(deleted_rows(objects, lost))
    with pytest.raises(IntegrityError):
        numbers(rows_deleted_between(objects, [(part, lost)], SCHEMA))
