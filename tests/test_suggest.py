"""Suggested contracts are met by what they were learned from, are honest about false alarms, and are files that load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dataplat as dp
from dataplat.cli import main
from dataplat.validation import load_contract
from dataplat.validation.profile._run import profile_subject
from dataplat.validation.subject import TableSubject
from dataplat.validation.suggest import suggest


def day(number: int, rows: int = 500) -> pa.Table:
    """Flights of a day: ids grow, the rest is much the same."""
    random = np.random.default_rng(number)
    return pa.table(
        {
            "id": np.arange(number * rows, (number + 1) * rows),
            "carrier": random.choice(["AA", "UA", "DL"], rows),
            "code": [f"N{each % 1000:03d}X" for each in range(rows)],
            "delay": pa.array(
                np.where(random.random(rows) < 0.05, np.nan, random.normal(10, 30, rows)), from_pandas=True
            ),
            "distance": random.integers(50, 5000, rows),
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> dp.Lake:
    """A lake with flights of six days, a version each."""
    lake = dp.open(tmp_path / "lake")
    for number in range(6):
        lake.ingest(day(number), "flights", message=f"day {number}")
    return lake


def test_a_suggestion_is_a_contract_that_its_data_meets(lake: dp.Lake, tmp_path: Path) -> None:
    """The text is a Python file; what it was learned from meets it, and data of another kind does not."""
    file = tmp_path / "contract.py"
    file.write_text(lake["flights"].suggest_contract(history=True).text)
    contract = load_contract(f"{file}:Flights")
    report = lake["flights"].validate(contract)
    assert report.ok, report.summary
    assert {"unique", "isin(['AA', 'DL', 'UA'])"} <= {check.name for check in report.checks}
    other = day(6).set_column(1, "carrier", pa.array(["ZZ"] * 500)).set_column(4, "distance", pa.array([90_000] * 500))
    failed = {check.column for check in dp.validate(other, contract).failed}
    assert {"carrier", "distance"} <= failed


def test_false_alarms_are_counted(tmp_path: Path) -> None:
    """A rule that would have stopped good versions again and again says so, and is a comment in the file."""
    lake = dp.open(tmp_path / "lake")
    for number in range(8):
        lake.ingest(pa.table({"grows": [10**number, 10**number]}), "d", mode="append")
    found = lake["d"].suggest_contract(history=True)
    (rule,) = [rule for rule in found.rules if rule.learned.kind == "range"]
    assert (rule.alarms, rule.tried, rule.taken) == (7, 7, False)
    assert "# pa.Check.in_range" in found.text
    assert "7 of 7 versions" in found.text
    assert load_contract  # the file loads without it
    alone = lake["d"].suggest_contract()
    assert {(each.alarms, each.tried) for each in alone.rules} == {(0, 0)}


def test_versions_share_what_was_looked_at(lake: dp.Lake, tmp_path: Path, reads: object) -> None:
    """A contract is tried on all versions by reading each part once."""
    file = tmp_path / "contract.py"
    file.write_text(lake["flights"].suggest_contract(history=True).text)
    lake["flights"].try_contract(f"{file}:Flights")
    reads.clear()  # type: ignore[attr-defined]
    tried = lake["flights"].try_contract(f"{file}:Flights")
    assert len(tried) == 6
    assert tried[0].message == "day 5"
    assert tried[0].report.ok
    assert not reads.calls  # type: ignore[attr-defined]


VALUES = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=True, allow_infinity=True)),
    "text": (pa.string(), st.text(max_size=12)),
    "bool": (pa.bool_(), st.booleans()),
    "day": (pa.date32(), st.dates()),
    "moment": (pa.timestamp("us", "UTC"), st.integers(-(2**50), 2**50)),
    "decimal": (pa.decimal128(10, 2), st.decimals(-999, 999, places=2)),
    "bytes": (pa.binary(), st.binary(max_size=4)),
    "list": (pa.list_(pa.int64()), st.lists(st.integers(0, 3), max_size=3)),
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_the_data_it_meets_what_it_taught(data: st.DataObject) -> None:
    """Of any types and values, names too: the suggestion is a Python file that loads, and its own data meets it."""
    kinds = data.draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3))
    names = data.draw(st.lists(st.text(min_size=1, max_size=5), min_size=len(kinds), max_size=len(kinds), unique=True))
    count = data.draw(st.integers(1, 30))
    columns = {}
    for name, kind in zip(names, kinds, strict=True):
        arrow, values = VALUES[kind]
        cells = data.draw(st.lists(st.none() | values, min_size=count, max_size=count))
        columns[name] = pa.array(cells, arrow)
    table = pa.table(columns)
    subject = TableSubject(table)
    found = suggest([profile_subject(subject)], table.schema, title="t", name="Data", unique=lambda _: False)
    scope: dict[str, object] = {}
    exec(compile(found.text, "suggested.py", "exec"), scope)  # noqa: S102 (we wrote it)
    report = dp.validate(table, scope["Data"])
    assert report.ok, (found.text, str(report))


def test_the_commands(
    lake: dp.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Suggest writes a file once, show tells what it asks, test tries it on the versions and ends as the newest fares."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATAPLAT_LAKE", str(tmp_path / "lake"))
    assert main(["contract", "suggest", "flights", "--history", "-o", "contract.py"]) == 0
    assert main(["contract", "suggest", "flights", "-o", "contract.py"]) != 0
    assert main(["contract", "show", "contract.py:Flights"]) == 0
    assert "isin(['AA', 'DL', 'UA'])" in capsys.readouterr().out
    assert main(["contract", "test", "contract.py:Flights", "flights"]) == 0
    assert "day 5" in capsys.readouterr().out
    lake.ingest(day(6).set_column(1, "carrier", pa.array(["ZZ"] * 500)), "flights", message="odd")
    assert main(["contract", "test", "contract.py:Flights", "flights"]) == 1
    assert "failed in 1 of 7 versions" in capsys.readouterr().out
