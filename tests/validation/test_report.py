"""Reports: read by people and by machines, and bounded."""

import json

import pandera.polars as pdr
import pyarrow as pa

from dataplat.validation import Contract

SCHEMA = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check.ge(0)), "b": pdr.Column(str, nullable=True)})
TABLE = pa.table({"a": [1, -5, -6, -7, -8], "b": ["x", None, "y", "z", "w"]})


def test_lines_say_what_failed_first():
    """A report begins with the verdict, then what failed with counts and examples, then what passed."""
    report = Contract(SCHEMA, name="s").validate(TABLE, key=["b"])
    lines = report.lines()
    assert lines[0].startswith("contract s (")
    assert "NOT met" in lines[0]
    expected = "FAILED      a: greater_than_or_equal_to(0): 4 of 5 rows, e.g. -5 (b=null); -6 (b=y); -7 (b=z)"
    assert lines[1].strip() == expected
    assert lines[2].strip().startswith("ok")
    assert report.summary.startswith("contract s is not met: FAILED a: greater_than_or_equal_to(0): 4 of 5")
    assert str(report) == "\n".join(lines)


def test_a_report_is_plain_json():
    """to_dict holds only what JSON can, exact counts and capped examples."""
    report = Contract(SCHEMA, name="s").validate(TABLE)
    again = json.loads(json.dumps(report.to_dict()))
    assert again["ok"] is False
    assert again["contract_id"] == Contract(SCHEMA, name="s").id
    failed = [check for check in again["checks"] if check["status"] == "failed"]
    assert [(check["failing"], len(check["examples"]), check["rows"]) for check in failed] == [(4, 4, 5)]


def test_a_met_contract_says_so():
    """A report without failures is ok and short."""
    report = Contract(SCHEMA, name="s").validate(TABLE.slice(0, 1))
    assert report.ok
    assert report.summary == "contract s is met"
    assert repr(report).startswith("Report(contract='s'")
