"""validate and its command: a version, a file or a frame is judged, and the command ends as it fared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.polars
import pandera.polars as pdr
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.cli import main
from dataplat.errors import SourceError

CONTRACT = """
import pandera.polars as pa
import dataplat as dp

class Payments(pa.DataFrameModel):
    payment: int = pa.Field(ge=1)
    amount: float = pa.Field(gt=0)

class Broken(pa.DataFrameModel):
    amount: float

    @pa.check("amount")
    def odd(cls, data):
        raise RuntimeError("boom")

Served = dp.Contract(Payments, checks=[dp.row_count(min=10, environment="train"), dp.no_drift(vs="@first")], name="Served")
"""
ROWS = {"payment": [1, 2], "amount": [1.0, -2.0]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a contract."""
    (tmp_path / "c.py").write_text(CONTRACT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "data",
    [
        pa.table(ROWS),
        pl.DataFrame(ROWS),
        pl.DataFrame(ROWS).lazy(),
        pd.DataFrame(ROWS),
        pa.record_batch(ROWS),
        pa.table(ROWS).to_batches(max_chunksize=1),
        pa.RecordBatchReader.from_batches(pa.table(ROWS).schema, pa.table(ROWS).to_batches()),
    ],
    ids=lambda data: type(data).__name__,
)
def test_any_table_is_judged(here: Path, data: Any) -> None:
    """Arrow, polars, pandas, lazy, batches and readers: same verdict, same failing row."""
    report = dp.validate(data, "c.py:Payments", key="payment")
    assert [(check.column, check.failing) for check in report.failed] == [("amount", 1)]
    assert report.failures.select(["row", "value", "payment"]).to_pylist() == [
        {"row": 1, "value": "-2.0", "payment": "2"}
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.ndjson", "a.arrow", "folder", "*.csv"])
def test_any_file_is_judged(here: Path, name: str) -> None:
    """Files of every format, folders and globs: same failing row, and the report can show its rows and pictures later on."""
    _write(here, name)
    report = dp.validate(name, "c.py:Payments")
    assert [(check.column, check.failing, check.rows) for check in report.failed] == [("amount", 1, 2)]
    assert report.failures["value"].to_pylist() == ["-2.0"]
    assert "What the columns hold" in report.to_html()


def _write(here: Path, name: str) -> None:
    table = pa.table(ROWS)
    match name:
        case "a.csv" | "*.csv":
            (here / "a.csv").write_text("payment,amount\n1,1.0\n2,-2.0\n")
        case "a.ndjson":
            (here / name).write_text('{"payment": 1, "amount": 1.0}\n{"payment": 2, "amount": -2.0}\n')
        case "a.arrow":
            with pa.OSFile(name, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
        case "folder":
            (here / name).mkdir()
            for row in range(2):
                pq.write_table(table.slice(row, 1), here / name / f"{row}.parquet")
        case _:
            pq.write_table(table, here / name)


def test_text_is_read_as_the_contract_says(here: Path) -> None:
    """Digits in a text column are text in a file that is judged, as they are when it lands; so are columns of no rows."""
    schema = pandera.polars.DataFrameSchema({"code": pandera.polars.Column(str), "zip": pandera.polars.Column(int)})
    for rows in ("1,2\n", ""):
        Path("codes.csv").write_text("code,zip\n" + rows)
        assert dp.validate("codes.csv", schema).ok
    Path("codes.csv").write_text("zip\n2\nx\n")
    report = dp.validate("codes.csv", schema)
    assert [check.name for check in report.failed] == ["readable", "column_in_dataframe"]
    Path("codes.csv").write_text("note,zip,code\n,2,1\n")
    schema = pandera.polars.DataFrameSchema(schema.columns, ordered=True)
    assert [check.name for check in dp.validate("codes.csv", schema).failed] == ["column_ordered"]


def test_examples_name_files_in_full(here: Path) -> None:
    """An example names the file that it lies in, by its whole name; of text only the row, as there is no such file."""
    pl.DataFrame(ROWS).write_parquet("a-file-of-payments.parquet")
    pl.DataFrame(ROWS).write_csv("payments.csv")
    said = [str(dp.validate(name, "c.py:Payments")) for name in ("a-file-of-payments.parquet", "payments.csv")]
    assert "e.g. -2.0 (row 1 of part a-file-of-payments.parquet)" in said[0]
    assert "e.g. -2.0 (row 1)" in said[1]


TWICE = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])


@pytest.mark.parametrize("data", ["twice.parquet", TWICE, "torn.parquet", "torn-*.parquet", "empty.parquet"])
def test_what_cannot_be_looked_at_is_said(here: Path, data: Any) -> None:
    """Two columns of one name, and a torn file, are said as what they are, by whatever looks at them."""
    pq.write_table(TWICE, "twice.parquet")
    Path("torn.parquet").write_bytes(Path("twice.parquet").read_bytes()[:-9])
    Path("torn-1.parquet").write_bytes(b"PAR1xxxxxPAR1")
    Path("empty.parquet").write_bytes(b"")
    for look in (lambda: dp.validate(data, "c.py:Payments"), lambda: dp.profile(data)):
        with pytest.raises(SourceError, match=r"several columns of the name 'a'|parquet"):
            look()


def test_pages_that_cannot_be_read_are_said(here: Path) -> None:
    """A file whose pages are damaged is no pass, and the message names it, whatever looks at it."""
    pl.DataFrame({"name": [f"name {row:06}" for row in range(20_000)], "at": [1.5] * 20_000}).write_parquet(
        "whole.parquet"
    )
    found = bytearray(Path("whole.parquet").read_bytes())
    column = pq.read_metadata("whole.parquet").row_group(0).column(0)
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    found[end - 200 : end] = b"\xff" * 200
    Path("torn.parquet").write_bytes(found)
    schema = pandera.polars.DataFrameSchema({"name": pandera.polars.Column(str, pandera.polars.Check.str_length(1, 5))})
    checked = dp.Contract(None, [dp.unique("name")], name="torn")
    assert [check.status for check in dp.validate("torn.parquet", checked).failed] == ["could not check"]
    for look in (lambda: dp.validate("torn.parquet", schema), lambda: dp.profile("torn.parquet")):
        with pytest.raises(SourceError, match=r"torn.parquet: row group 0 cannot be read"):
            look()


def test_records_that_cannot_be_read_fail(here: Path) -> None:
    """A line that is no record is a failing check of its own, counted and shown."""
    (here / "a.csv").write_text('payment,amount\n1,1.0\n2,"x\n')
    report = dp.validate("a.csv", "c.py:Payments")
    assert not report.ok
    assert report.checks[0].name == "readable"
    assert report.checks[0].failing == 1


def test_the_command_ends_as_the_data_fares(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 where it is met, 1 where it is not, 2 where a check could not be evaluated; JSON and JUnit say the same."""
    (here / "good.csv").write_text("payment,amount\n1,1.0\n")
    _write(here, "a.csv")
    assert main(["validate", "good.csv", "-c", "c.py:Payments"]) == 0
    assert "is met: 5 of 5 checks passed" in capsys.readouterr().out
    assert main(["validate", "a.csv", "-c", "c.py:Payments", "--junit", "out.xml", "--report", "out.html"]) == 1
    assert "greater_than(0)" in (here / "out.xml").read_text()
    assert "not met" in (here / "out.html").read_text()
    assert main(["validate", "a.csv", "-c", "c.py:Broken"]) == 2
    capsys.readouterr()
    assert main(["validate", "a.csv", "-c", "c.py:Payments", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["rows"], told["coverage"]) == (False, 2, 1.0)
    assert {check["how"] for check in told["checks"]} <= {"proven", "scanned"}
    assert main(["validate", "a.csv"]) == 2
    assert main(["validate", "none.csv", "-c", "c.py:Payments"]) == 3


def test_the_contract_of_the_branch_is_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --contract it is the one that the branch holds the dataset to; if there is none, that is said."""
    lake = dp.open(here / ".dataplat")
    lake.ingest(pa.table({"payment": [1], "amount": [1.0]}), "payments")
    assert main(["validate", "payments"]) == 2
    assert "--contract" in capsys.readouterr().err
    lake.protect("main", "c.py:Payments", "payments")
    assert main(["validate", "payments"]) == 0


def test_environments_strictness_and_drift(here: Path) -> None:
    """What is asked elsewhere only is not asked, which --strict takes for a failure; drift is shown side by side."""
    lake = dp.open(here / ".dataplat")
    rows = pa.table({"payment": list(range(1, 201)), "amount": [float(each % 7 + 1) for each in range(200)]})
    lake.ingest(rows, "payments")
    lake.tag("first")
    lake.ingest(rows.set_column(1, "amount", pa.array([100.0] * 200)), "payments", mode="replace")
    serve = lake["payments"].validate("c.py:Served", environment="serve")
    assert {check.name: check.status for check in serve.checks}["row_count(min=10)"] == "not asked"
    assert [check.name for check in serve.failed] == ["no_drift(@first)"]
    assert "Drift from @first" in serve.to_html()
    strict = lake["payments"].validate("c.py:Served", environment="serve", strict=True)
    assert "row_count(min=10)" in {check.name for check in strict.failed}
    assert serve.coverage < 1
    assert "row_count(min=10)" not in {check.name for check in lake["payments"].validate("c.py:Served").failed}


def test_a_sample_is_called_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a sample some row groups are read, the same ones each time; what it says is not remembered, nor taken for all."""
    rows = pa.table({"payment": list(range(1, 2001)), "amount": [1.0] * 1999 + [float("nan")]})
    pq.write_table(rows, here / "a.parquet", row_group_size=100)
    contract = dp.Contract(
        pdr.DataFrameSchema(
            {"amount": pdr.Column(float, pdr.Check.lt(5), nullable=True), "payment": pdr.Column(int, unique=True)}
        )
    )
    report = dp.validate("a.parquet", contract, sample=0.3)
    again = dp.validate("a.parquet", contract, sample=0.3)
    assert 0 < report.new_rows == again.new_rows < 2000
    assert report.how["sampled"] >= 1
    assert {check.name for check in report.checks if check.status == "not asked"} == {"field_uniqueness"}
    assert report.coverage < 1
    assert not dp.validate("a.parquet", contract, sample=0.3, strict=True).ok
    assert dp.validate("a.parquet", contract, sample=1).new_rows == 2000
    with pytest.raises(dp.ContractError, match="share"):
        dp.validate("a.parquet", contract, sample=2)
    lake = dp.open(here / ".dataplat")
    lake.ingest(rows, "payments")
    lake["payments"].validate(contract, sample=0.0001)
    assert not lake["payments"].validate(contract).ok
    assert main(["validate", "a.parquet", "-c", "c.py:Payments", "--sample", "0.5"]) in {0, 1}
