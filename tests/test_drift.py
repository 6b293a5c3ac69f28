"""Drift of versions, windows, slices, frames and files, and skew and outliers of them."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.errors import BadColumn, ConfigError, DatasetNotFound, MissingExtra, PredicateError, SourceError

COLUMNS = {"delay", "carrier", "day", "id"}


def rows(seed, size=8000, late=0.0, start=0):
    """Return flights, of which the delays are so much longer."""
    draw = np.random.default_rng(seed)
    return pa.table(
        {
            "id": range(start, start + size),
            "delay": pa.array(draw.exponential(20, size) * (1 + late), mask=draw.random(size) < 0.1),
            "carrier": draw.choice(["UA", "AA", "DL"], size, p=[0.5, 0.3, 0.2]),
            "day": pa.array(draw.integers(0, 60, size), pa.int32()).cast(pa.date32()),
            "tags": [["a"]] * size,
        }
    )


@pytest.fixture
def lake(memory_lake):
    """Return a lake of flights, in a version tagged v1, one like it and one that is late."""
    for seed, late in ((1, 0.0), (2, 0.0), (3, 1.0)):
        memory_lake.ingest(rows(seed, late=late), into="flights", mode="replace")
        if seed == 1:
            memory_lake.tag("v1")
    return memory_lake


def verdicts(report):
    """Return the verdict of each column, of each slice."""
    return {
        (column.slice, column.column) if column.slice else column.column: column.verdict for column in report.columns
    }


def test_versions_are_compared_by_reference(lake):
    """A version like the first does not drift, one that is late does, in that column alone."""
    like = lake.drift("flights@v1", "flights@main~1")
    assert set(verdicts(like)) == COLUMNS
    assert like.ok
    assert (like.before, like.after) == ("flights@v1", "flights@main~1")
    late = lake.drift("flights@v1", "flights")
    assert [column.column for column in late.drifted] == ["delay"]
    assert not late.ok


def test_profiles_and_rows_say_the_same(lake):
    """Of both ways the statistics are within the error that is stated; the verdicts agree."""
    by_profile, by_rows = (lake.drift("flights@v1", "flights", exact=exact) for exact in (False, True))
    assert verdicts(by_profile) == verdicts(by_rows)
    for rough, exact in zip(by_profile.columns, by_rows.columns, strict=True):
        assert exact.error == 0
        assert abs(rough.effect - exact.effect) <= rough.error
        assert rough.error <= 2 / 512
        assert (rough.rows, rough.nulls) == (exact.rows, exact.nulls)


def test_what_was_compared_once_is_compared_again_without_rows(lake, reads):
    """Profiles are remembered: no part is read, neither in a comparison with a third version but for its own."""
    first = lake.drift("flights@v1", "flights@main~1")
    reads.clear()
    assert lake.drift("flights@v1", "flights@main~1").to_dict() == first.to_dict()
    assert reads.calls == []
    lake.drift("flights@v1", "flights")
    assert {part for part, _, _ in reads.calls} == {part.id for part in lake["flights"].parts}


def test_a_version_and_live_batches(lake):
    """A frame of any kind, a reader, a list of batches: all say the same beside a version."""
    live = rows(9, late=1.0).drop_columns(["tags", "day"])
    sides = [live, pl.from_arrow(live), live.to_reader(), live.to_batches(), live.to_batches()[0], live.to_pandas()]
    found = [lake.drift("flights@v1", side, columns=["delay", "carrier", "id"]) for side in sides]
    assert all(verdicts(each) == verdicts(found[0]) for each in found)
    assert verdicts(found[0])["delay"] == "drift"
    assert (found[0].before, found[0].after) == ("flights@v1", "after")
    assert isinstance(sides[-1], pd.DataFrame)


def test_windows_and_conditions(lake):
    """One condition holds on both sides, a pair has one for each; a version may be compared with itself so."""
    same = lake.drift("flights", "flights", where=("day < '1970-01-31'", pl.col("day") >= dt.date(1970, 1, 31)))
    assert verdicts(same)["day"] == "drift"
    assert verdicts(same)["delay"] != "drift"
    assert sum(same.columns[0].rows) == 8000
    one = lake.drift("flights@v1", "flights", where="carrier = 'UA'", exact=True, columns=["delay"])
    assert one.columns[0].rows[0] == pl.from_arrow(rows(1).drop_columns("tags")).filter(carrier="UA").height
    frames = dp.drift(rows(1), rows(3, late=1.0), where="carrier = 'UA'", columns=["delay"])
    assert frames.columns[0].statistic == one.columns[0].statistic
    with pytest.raises(PredicateError):
        lake.drift("flights", "flights", where="nothing = 1")


def test_slices(lake):
    """Every value of a column is compared by itself; one that is on one side only has nothing beside it."""
    found = lake.drift("flights@v1", "flights", by="carrier", columns=["delay", "carrier"])
    assert verdicts(found) == {("UA", "delay"): "drift", ("AA", "delay"): "drift", ("DL", "delay"): "drift"}
    one, two = pa.table({"g": ["a", "a", None], "x": [1, 2, 3]}), pa.table({"g": ["a", "b", None], "x": [1, 2, 3]})
    found = dp.drift(one, two, by="g")
    assert {column.slice: column.rows for column in found.columns} == {"a": (2, 1), "null": (1, 1), "b": (0, 1)}
    assert {column.verdict for column in found.columns} == {"undecided"}
    with pytest.raises(BadColumn, match="did you mean 'carrier'"):
        lake.drift("flights", "flights", by="carier")


def test_slices_are_those_of_a_filter():
    """Each slice is compared as its rows by themselves are, many values being left to the most frequent."""
    one, two = rows(1), rows(3, late=1.0)
    found = dp.drift(one, two, by="carrier", columns=["delay"])
    for column in found.columns:
        alone = dp.drift(one, two, where=f"carrier = '{column.slice}'", columns=["delay"]).columns[0]
        assert (column.statistic, column.rows, column.p_value) == (alone.statistic, alone.rows, alone.p_value)
    assert len(dp.drift(one, two, by="id", columns=["delay"]).columns) == 50


def test_files(tmp_path):
    """Files are sides, too: Parquet and CSV."""
    pq.write_table(rows(1).drop_columns("tags"), tmp_path / "one.parquet")
    pl.from_arrow(rows(3, late=1.0).drop_columns("tags")).write_csv(tmp_path / "two.csv")
    found = dp.drift(tmp_path / "one.parquet", str(tmp_path / "two.csv"))
    assert verdicts(found)["delay"] == "drift"
    assert found.after.endswith("two.csv")
    (tmp_path / "bad.csv").write_text("id,delay\n1,2\n3\n")
    for ask in (dp.outliers, lambda path: dp.drift(path, tmp_path / "two.csv")):
        with pytest.raises(SourceError, match="1 records that cannot be read: 1 fields"):
            ask(tmp_path / "bad.csv")


def test_bad_input_is_refused(lake):
    """No such dataset, column, method; a column that holds lists."""
    with pytest.raises(DatasetNotFound):
        lake.drift("flight", "flights")
    with pytest.raises(BadColumn, match="did you mean 'delay'"):
        lake.drift("flights@v1", "flights", columns=["dely"])
    with pytest.raises(BadColumn, match="tags"):
        lake.drift("flights@v1", "flights", columns=["tags"])
    with pytest.raises(ConfigError, match="no method"):
        lake.drift("flights@v1", "flights", method="ttest")
    with pytest.raises(ConfigError, match="no option 'column'"):
        lake.drift("flights@v1", "flights", column="delay")


def drifting(lake, name, seed, mode):
    """Land 22 versions of which the level wanders from one to the next, and return how the last two compare."""
    draw = np.random.default_rng(seed)
    for number in range(22):
        level = draw.normal(scale=0.3)
        batch = pa.table({"x": draw.normal(level, size=400), "n": [number] * 400})
        lake.ingest(batch, into=name, mode=mode, key=None)
    return lake


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_history_of_twenty_versions_says_what_is_usual(memory_lake, reads, mode):
    """Levels that wander from version to version are no drift beside their history, and are without it."""
    drifting(memory_lake, "x", 5, mode)
    where = ("n = 19", "n = 20") if mode == "append" else None
    sides = ("x", "x") if mode == "append" else ("x@main~2", "x@main~1")
    options = {"columns": ["x"], "min_effect": 0.0, "where": where}
    plain = memory_lake.drift(*sides, **options, history=False)
    held = memory_lake.drift(*sides, **options)
    assert verdicts(plain) == {"x": "drift"}
    assert verdicts(held) == {"x": "undecided"}
    assert (plain.columns[0].history, held.columns[0].history) == (0, 22 if mode == "append" else 20)
    reads.clear()
    assert memory_lake.drift(*sides, **options).to_dict() == held.to_dict()
    assert reads.calls == []


def test_nineteen_versions_are_no_history(memory_lake):
    """Of fewer than twenty nothing is usual, and rows are taken to be independent."""
    drifting(memory_lake, "x", 5, "append")
    assert memory_lake.drift("x@main~3", "x", columns=["x"]).columns[0].history == 0


# ------------------------------------------------------------------------------------------------- skew and outliers


def test_skew_is_of_distributions_and_of_rows(lake):
    """What is served late in a tenth of the rows is seen row by row, where no distribution drifts."""
    served = pl.from_arrow(rows(3, late=1.0).drop_columns(["tags", "day"])).with_columns(
        delay=pl.when(pl.col("id") % 10 == 0).then(pl.col("delay") + 0.5).otherwise(pl.col("delay"))
    )
    found = dp.skew(lake["flights"], served, on="id")
    assert [(each.feature, each.differing) for each in found.features if each.differing] == [
        ("delay", served.filter(pl.col("id") % 10 == 0)["delay"].count())
    ]
    assert found.drift.ok
    assert not found.ok
    assert found.unserved == ("day", "tags")
    assert dp.skew(lake["flights"], served, on="id", max_share=0.1).ok
    only = dp.skew(lake["flights"], served)
    assert only.features == ()
    assert only.ok
    assert "not served: day" in str(found)
    assert found.to_dict()["features"][0]["share"] == pytest.approx(0.09, abs=0.01)


def test_skew_of_columns_that_are_not_there_is_refused():
    """Features, entity and time have to be on both sides."""
    one, two = pa.table({"id": [1], "x": [1.0], "y": [1.0]}), pa.table({"id": [1], "x": [1.0]})
    for wrong in ({"columns": ["y"]}, {"on": "key"}, {"on": "id", "time": "at"}):
        with pytest.raises(BadColumn, match="no column"):
            dp.skew(one, two, **wrong)
    assert not dp.skew(one, pa.table({"z": [1]})).ok


def test_skew_that_joins_no_row_is_not_ok():
    """Where nothing is beside the served rows nothing was compared, which is no pass."""
    found = dp.skew(pa.table({"id": [1], "x": [1.0]}), pa.table({"id": [2], "x": [1.0]}), on=["id"])
    assert (found.joined, found.ok) == (0, False)


@pytest.fixture
def keyed(memory_lake):
    """Return a version of flights with a key, in one part."""
    memory_lake.ingest(rows(3, late=1.0), into="keyed", key="id")
    return memory_lake["keyed"]


def test_outliers_of_versions_frames_and_files(keyed, tmp_path):
    """All name the same rows; those of a version by part, those of a key by it."""
    table = rows(3, late=1.0).drop_columns("tags")
    pq.write_table(table, tmp_path / "one.parquet")
    found = keyed.outliers(columns=["delay"], bound=6)
    assert found.num_rows > 3
    assert set(found["part"].to_pylist()) == {keyed.parts[0].id}
    assert found["id"].to_pylist() == [str(row) for row in found["row"].to_pylist()]
    for data in (table, pl.from_arrow(table), tmp_path / "one.parquet"):
        other = dp.outliers(data, key="id", columns=["delay"], bound=6)
        assert other.drop_columns("part") == found.drop_columns("part")


def test_rows_that_were_deleted_are_no_outliers(keyed, memory_lake):
    """A row that no longer counts is not found, and those after it keep their place in the part."""
    found = keyed.outliers(columns=["delay"], bound=6).to_pylist()
    memory_lake.delete("keyed", where=f"id = {found[0]['id']}")
    after = memory_lake["keyed"].outliers(columns=["delay"], bound=5.9).to_pylist()
    assert found[0]["id"] not in {row["id"] for row in after}
    assert {row["row"] for row in found[1:]} <= {row["row"] for row in after}
    assert all(row["id"] == str(row["row"]) for row in after)


def test_the_forest_says_what_it_needs(monkeypatch):
    """Without scikit-learn the error names the extra."""
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(MissingExtra, match=r"dataplat\[outliers\]"):
        dp.outliers(pa.table({"x": [1.0, 2.0]}), method="isolation_forest")
