"""Profiles of versions: what is remembered is not read again, and makes no difference."""

import numpy as np
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._profile import profile
from dataplat.errors import BadColumn, PredicateError
from dataplat.lake.memos import Memos
from dataplat.validation.profile._encode import encode
from dataplat.validation.profile._memory import Memory


def rows(number, size=300):
    """Return a table of its own for each number."""
    rng = np.random.default_rng(number)
    return pa.table(
        {
            "id": np.arange(number * size, (number + 1) * size, dtype=np.int32),
            "delay": pa.array(rng.normal(size=size), mask=rng.random(size) < 0.1),
            "carrier": pa.array(["UA", "AA", "DL"]).take(pa.array(rng.integers(0, 3, size))),
        }
    )


def data_of(found):
    """Return a profile as bytes, by column."""
    return {name: encode(column) for name, column in found.columns.items()}


def forget(lake):
    """Lose all that is remembered."""
    for info in list(lake.store.list("memo/")):
        lake.store.delete(info.key)


@pytest.fixture
def lake(memory_lake):
    """Return a lake with a dataset of twelve parts."""
    for number in range(12):
        memory_lake.ingest(rows(number), into="flights")
    return memory_lake


def test_a_version_is_the_merge_of_its_parts(lake):
    """However it was come by, from rows, from memos of parts, of segments or of the whole, it is the same."""
    first = lake["flights"].profile()
    assert (first.rows, first.parts, first.remembered) == (3_600, 12, 0)
    assert data_of(lake["flights"].profile()) == data_of(first)
    one_by_one = profile(lake["flights"].to_arrow())
    assert {name: column.mean for name, column in first.columns.items()} == {
        name: column.mean for name, column in one_by_one.columns.items()
    }
    forget(lake)
    assert data_of(lake["flights"].profile()) == data_of(first)


def test_only_new_parts_are_read(lake, reads):
    """After an append the rows of the new part alone are looked at, after nothing none."""
    lake["flights"].profile()
    reads.clear()
    assert lake["flights"].profile().remembered == 12
    assert not reads.calls
    (new,) = {part.id for part in lake.ingest(rows(20), into="flights").version.parts} - {
        part.id for part in lake["flights@main~1"].parts
    }
    found = lake["flights"].profile()
    assert found.remembered == 12
    assert reads.parts == {new}
    forget(lake)
    assert data_of(lake["flights"].profile()) == data_of(found)


def test_deletes_count(lake, reads):
    """Rows that were deleted are in no profile; parts without them are not read again."""
    lake["flights"].profile()
    reads.clear()
    lake.delete("flights", "id < 100 or carrier = 'AA' and id < 600")
    reads.clear()
    found = lake["flights"].profile()
    assert len(reads.parts) == 2
    table = lake["flights"].to_arrow()
    assert found.rows == len(table)
    assert found["id"].low == min(table["id"].to_pylist())
    assert found["delay"].nulls == table["delay"].null_count
    forget(lake)
    assert data_of(lake["flights"].profile()) == data_of(found)


def test_a_condition_selects(lake, reads):
    """With `where` it is the profile of these rows, remembered by itself."""
    version = lake["flights"]
    found = version.profile(where="carrier = 'UA' and delay > 0")
    table = version.to_arrow(where="carrier = 'UA' and delay > 0")
    assert (found.rows, found["carrier"].frequent()) == (len(table), (("UA", len(table)),))
    assert found["delay"].low == min(table["delay"].to_pylist())
    reads.clear()
    assert data_of(version.profile(where="carrier = 'UA' and delay > 0")) == data_of(found)
    assert not reads.calls
    assert version.profile().rows == 3_600
    assert version.profile(where="id < 0").rows == 0


def test_columns_are_added_to_what_is_known(lake, reads):
    """A profile of other columns reads these alone."""
    lake["flights"].profile(columns=["delay"])
    assert set(reads.columns) == {"delay"}
    reads.clear()
    whole = lake["flights"].profile()
    assert list(whole.columns) == ["id", "delay", "carrier"]
    reads.clear()
    assert list(lake["flights"].profile(columns=["carrier", "id"]).columns) == ["carrier", "id"]
    assert not reads.calls


def test_changed_columns_are_looked_at_again(lake, reads):
    """A column that is renamed is known; one that is widened or added is read; all are as the version has them."""
    lake["flights"].profile()
    lake.evolve("flights", rename={"delay": "late"}, widen={"id": "int64"}, add={"note": "string"})
    reads.clear()
    found = lake["flights"].profile()
    assert list(found.columns) == lake["flights"].schema.names
    assert found["late"].name == "late"
    assert found["note"].nulls == found.rows
    assert set(reads.columns) == {"id"}
    assert (found["id"].low, found["id"].high) == (0, 3_599)
    forget(lake)
    assert data_of(lake["flights"].profile()) == data_of(found)


def test_damaged_memos_are_as_good_as_none(lake):
    """A bundle that is torn, or holds something else, is made again."""
    found = data_of(lake["flights"].profile())
    for number, info in enumerate(list(lake.store.list("memo/"))):
        body = lake.store.read(info.key)
        lake.store.delete(info.key)
        lake.store.create(info.key, body[: len(body) // 2] if number % 2 else b"")
    assert data_of(lake["flights"].profile()) == found
    assert lake["flights"].profile().remembered == 12


def test_bundles_of_other_things_are_as_good_as_none(lake, monkeypatch):
    """What is sealed rightly and is no profile is not believed either."""
    found = data_of(lake["flights"].profile())
    for body in (b"", b"\x81\xa1x\xc4\x01y", b"\xff"):
        monkeypatch.setattr(Memos, "get_bytes", lambda *_, body=body: body)
        assert data_of(lake["flights"].profile()) == found


def test_parts_that_are_there_twice_count_twice(memory_lake):
    """The same bytes appended twice are two parts."""
    memory_lake.ingest(rows(1), into="t")
    once = memory_lake["t"].profile()
    memory_lake.ingest(rows(1), into="t")
    twice = memory_lake["t"].profile()
    assert (twice.rows, twice["id"].nulls) == (2 * once.rows, 0)
    assert twice["id"].distinct == once["id"].distinct


def test_what_is_not_there_is_told(lake):
    """A wrong column or condition is an error with a hint, and so is none."""
    with pytest.raises(BadColumn, match="did you mean 'carrier'"):
        lake["flights"].profile(columns=["carier"])
    with pytest.raises(BadColumn, match="needs a column"):
        lake["flights"].profile(columns=[])
    with pytest.raises(PredicateError):
        lake["flights"].profile(where="carier = 'UA'")


def test_files_and_frames_are_profiled_without_a_lake(tmp_path):
    """A Parquet file, text, a frame and a reader of batches give the same figures, of all rows or some."""
    import polars as pl
    import pyarrow.parquet as pq

    table = rows(3)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=50)
    pl.from_arrow(table).write_csv(tmp_path / "t.csv")
    told = data_of(profile(table))
    for data in (tmp_path / "t.parquet", str(tmp_path / "t.csv"), pl.from_arrow(table), table.to_reader()):
        assert data_of(profile(data)) == told
    some = profile(tmp_path / "t.parquet", columns="delay", where="carrier = 'UA' and id >= 1000")
    assert list(some.columns) == ["delay"]
    assert some.rows == len([1 for row in table.to_pylist() if row["carrier"] == "UA" and row["id"] >= 1000])


def test_records_that_cannot_be_read_are_counted(tmp_path):
    """What is left out is told, in every form."""
    (tmp_path / "t.ndjson").write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    found = profile(tmp_path / "t.ndjson")
    assert (found.rows, found.unread, found.to_dict()["unread"]) == (2, 1, 1)
    assert repr(found).splitlines()[0].endswith(": 2 rows × 1 column; 1 cannot be read")
    assert "records that cannot be read" in found.to_html()


def test_large_tables_are_cut_in_pieces(monkeypatch):
    """Pieces of a file or table are parts: what is said of them together is within the same bounds."""
    monkeypatch.setattr("dataplat.validation.profile._run.PIECE", 1)
    table = pa.table({"x": np.random.default_rng(0).normal(size=400_000)})
    found = profile(table)
    assert found.parts == 4
    assert found["x"].distinct_bounds[0] <= 400_000 <= found["x"].distinct_bounds[1]
    ordered = np.sort(table["x"].to_numpy())
    assert abs(found["x"].cdf(0.5) - ordered.searchsorted(0.5) / 400_000) <= found["x"].rank_error < 1 / 512


def test_the_public_names_are_there(lake):
    """`dp.profile` is the function, `Version.profile` the method; a profile is read by column."""
    found = lake["flights"].profile(where="id < 10")
    assert found["id"].high == 9
    assert found.where == "id < 10"
    assert found.version == lake["flights"].id
    assert callable(dp.profile)


def memos_of(lake, kind):
    """Return the keys of what is remembered of each `part`, `segment` or `version`."""
    version = lake["flights"]
    memory = Memory(Memos(lake.store), version.manifest.schema)
    return [info.key for info in lake.store.list(f"memo/{memory._computation(kind)}/")]


def test_segments_are_remembered(lake, reads):
    """A new version costs its segments, not its parts: of a segment that is known no part is asked for."""
    for number in range(12, 40):
        lake.ingest(rows(number), into="flights")
    found = lake["flights"].profile()
    segments = memos_of(lake, "segment")
    assert segments
    for key in (*memos_of(lake, "part"), *memos_of(lake, "version")):
        lake.store.delete(key)
    reads.clear()
    again = lake["flights"].profile()
    assert data_of(again) == data_of(found)
    assert again.remembered + len(reads.parts) == again.parts
    assert len(reads.parts) < again.parts / 2


def test_segments_with_changed_parts_are_not_believed(lake):
    """Where a part of a segment has other deletes, or is gone, its parts are merged anew."""
    for number in range(12, 40):
        lake.ingest(rows(number), into="flights")
    lake["flights"].profile()
    assert memos_of(lake, "segment")
    lake.delete("flights", "id = 5 or id between 300 and 599")
    found = lake["flights"].profile()
    assert found.rows == lake["flights"].rows
    forget(lake)
    assert data_of(lake["flights"].profile()) == data_of(found)
