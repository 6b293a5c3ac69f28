"""Ingests that tasks of Spark do, beside the same ingests by this process."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat._spark import _ingest
from dataplat._version import Version
from dataplat.cli import main
from dataplat.connectors.spark.address import SparkAddress
from dataplat.errors import ConfigError, ContractFailed, EngineError, PositionConflict, SchemaMismatch
from dataplat.lake.engine import Local

CONTRACT = """
import pandera.polars as pa

class Days(pa.DataFrameModel):
    day: int = pa.Field(ge=0)
    size: float = pa.Field(lt=49, nullable=True)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake in a folder."""
    return dp.open(tmp_path / "lake")


@pytest.fixture
def days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make files whose types only the last of them shows, and have a task read two of them at once."""
    folder = tmp_path / "days"
    folder.mkdir()
    for day in range(5):
        rows = [f"{day},{at},{at / 2 if day == 4 else at}" for at in range(100)]
        (folder / f"{day}.csv").write_text("\n".join(["day,at,size", *rows, ""]), "utf-8")
    monkeypatch.setattr(_ingest, "RUN", 2_500)
    monkeypatch.setattr("dataplat.connectors.files._files.SNIFFED_FILES", 2)
    return folder


def positions(version: Version) -> object:
    """Return where files had been read to when the version was made."""
    return version.commit.changes[version.dataset].positions


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_files_land_as_they_do_here(spark, lake, days, kind):
    """Types that widen late, positions, order and content id are those of a local ingest; a second one reads nothing."""
    if kind != "csv":
        lake.ingest(days, into="rows")
        for day in range(5):
            table = lake["rows"].to_arrow(where=f"day = {day}")
            (days / f"{day}.csv").unlink()
            if kind == "parquet":
                pq.write_table(table, days / f"{day}.parquet")
            else:
                (days / f"{day}.ndjson").write_text("\n".join(map(json.dumps, table.to_pylist())), "utf-8")
    here = lake.ingest(days, into="here")
    there = lake.ingest(days, into="there", engine="spark")
    assert len(there.version.parts) > 1
    assert (there.rows_in, there.rows_added) == (here.rows_in, here.rows_added)
    assert there.version.content_id == here.version.content_id
    assert there.version.to_arrow() == here.version.to_arrow()
    assert positions(there.version) == positions(here.version) != {}
    again = lake.ingest(days, into="there", engine="spark")
    assert again.nothing_to_do
    assert "already ingested" in again.notes[0]


def test_rejects_are_those_of_a_local_ingest(spark, lake, days):
    """Records that cannot be read go to the rejects with their bytes, line and offset, whichever task met them."""
    (days / "2.csv").write_text("day,at,size\n2,1,1\n2,oops\n2,2,2\n", "utf-8")
    here = lake.ingest(days, into="here")
    there = lake.ingest(days, into="there", engine="spark")
    assert (there.rows_rejected, there.rows_added) == (here.rows_rejected, here.rows_added)
    assert there.rows_rejected == 1
    assert lake["there.rejects"].to_arrow() == lake["here.rejects"].to_arrow()


def test_a_contract_is_asked_before_the_branch_moves(spark, lake, days, tmp_path):
    """Rows that fail it wait in quarantine, as they do here; with on_error=fail nothing lands."""
    (tmp_path / "contract.py").write_text(CONTRACT, "utf-8")
    contract = f"{tmp_path / 'contract.py'}:Days"
    here = lake.ingest(days, into="here", contract=contract)
    there = lake.ingest(days, into="there", contract=contract, engine="spark")
    assert there.rows_quarantined == here.rows_quarantined > 0
    assert there.version.content_id == here.version.content_id
    with pytest.raises(ContractFailed):
        lake.ingest(days, into="third", contract=contract, on_error="fail", engine="spark")
    assert "third" not in lake


def test_what_spark_reads_itself_lands(spark, lake, days, tmp_path):
    """A table, ORC files, a database by JDBC and CSV with a given schema have the content id of the same rows here."""
    wanted = lake.ingest(days, into="days").version
    frame = wanted.to_spark(spark)
    frame.write.orc(str(tmp_path / "orc"))
    assert lake.ingest(f"spark://orc/{tmp_path / 'orc'}", into="orc").version.content_id == wanted.content_id
    schema = wanted.schema
    by_csv = lake.ingest(f"spark://csv/{days}?header=true", into="csv", schema=schema)
    assert by_csv.version.content_id == wanted.content_id
    frame.createOrReplaceTempView("days_of_spark")
    by_table = lake.ingest("spark://table/days_of_spark", into="table", mode="replace")
    assert by_table.version.content_id == wanted.content_id
    url = f"jdbc:derby:memory:{tmp_path.name}"
    frame.limit(10).write.jdbc(
        f"{url};create=true", "days", properties={"driver": "org.apache.derby.iapi.jdbc.AutoloadedDriver"}
    )
    by_jdbc = lake.ingest(
        f"spark://jdbc?url={url}&dbtable=days&driver=org.apache.derby.iapi.jdbc.AutoloadedDriver", into="jdbc"
    )
    assert by_jdbc.rows_added == 10


def test_what_spark_would_make_null_of_stops_it(spark, lake, days):
    """A record that does not fit is an error in words, and nothing lands."""
    (days / "2.csv").write_text("day,at,size\n2,1,oops\n", "utf-8")
    schema = {"day": "int64", "at": "int64", "size": "float64"}
    with pytest.raises(EngineError, match="spark://csv/"):
        lake.ingest(f"spark://csv/{days}?header=true", into="t", schema=schema)
    assert "t" not in lake
    spark.sql("select make_ym_interval(1, 2) as i").createOrReplaceTempView("unfit")
    with pytest.raises(SchemaMismatch, match="lake has no type"):
        lake.ingest("spark://table/unfit", into="t")


def test_a_plan_says_what_would_change_and_touches_nothing(spark, lake, days):
    """It shows what Spark expects to read, the columns, and what the dataset would gain."""
    lake.ingest(pa.table({"day": [1]}), into="t")
    spark.range(1000).selectExpr("id as day", "cast(id as string) as name").createOrReplaceTempView("wider")
    plan = lake.plan_ingest("spark://table/wider", "t")
    assert plan.schema_changes == ["adds column name (string)"]
    assert plan.nbytes > 1000
    spark.range(1000).createOrReplaceTempView("counted")
    assert "about 1,000 rows" in lake.plan_ingest("spark://table/counted", "new").lines()[1]
    assert len(lake.plan_ingest(days, "new", engine="spark").to_read) == 5
    assert list(lake) == ["t"]


def test_the_command_takes_an_engine(spark, lake, days, capsys):
    """`dataplat ingest … --engine spark` lands and says what landed."""
    arguments = ["ingest", str(days), "--into", "t", "--engine", "spark", "--lake", lake.url, "--json"]
    assert main([*arguments, "--plan"]) == 0
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert '"rows_added": 500' in said


def test_what_tasks_cannot_do_is_refused_before_anything_is_read(lake, memory_lake, days):
    """Streams, standard input, slices, tables in memory and lakes in memory are errors that say what to do."""
    for source, options, words in (
        ("-", {}, "standard input"),
        (days, {"mode": "replace", "where": "day = 1"}, "slice"),
        (pa.table({"a": [1]}), {}, "table in memory"),
        ("kafka://localhost:1/t", {}, "writeStream"),
    ):
        with pytest.raises(ConfigError, match=words):
            lake.ingest(source, into="t", engine="spark", **options)
    with pytest.raises(ConfigError, match="master goes with"):
        lake.ingest(days, into="t", master="local[2]")
    with pytest.raises(ConfigError, match="known to this process alone"):
        memory_lake.ingest(days, into="t", engine="spark")


def test_an_address_is_read_and_its_secrets_are_not_shown(monkeypatch):
    """Options are those of Spark's reader; a password may be a reference, and no label holds one."""
    monkeypatch.setenv("ORDERS", "geheim")
    found = SparkAddress.parse("spark://jdbc?url=jdbc:x://h/d&dbtable=orders&password=env:ORDERS")
    assert found.label == "spark://jdbc/orders"
    for asks in ("me:geheim", "me:ge@heim"):
        assert SparkAddress.parse(f"spark://mongodb/mongodb://{asks}@h/d").label == "spark://mongodb/mongodb://h/d"
    assert found._told()["password"] == "geheim"
    assert "geheim" not in repr(found)
    for wrong in ("spark://", "spark://localhost:7077", "spark://table"):
        with pytest.raises(ConfigError, match="spark://"):
            SparkAddress.parse(wrong)


class Meanwhile(Local):
    """Works in this process, once others have done something."""

    def __init__(self, act):
        self.act = act

    def map(self, function, items):
        """Let the others go first."""
        self.act()
        return super().map(function, items)


def test_files_that_others_land_meanwhile_land_once(tmp_path):
    """Two ingests of the same files at once: the second to commit is refused, and no row is there twice."""
    lake = dp.open(tmp_path / "lake")
    (tmp_path / "days").mkdir()
    for day in range(3):
        (tmp_path / "days" / f"{day}.csv").write_text(f"day,at\n{day},1\n{day},2\n", "utf-8")

    def others():
        dp.open(tmp_path / "lake").ingest(tmp_path / "days", into="days")

    with pytest.raises(PositionConflict):
        lake.ingest(tmp_path / "days", into="days", engine=Meanwhile(others))
    assert lake["days"].rows == 6
