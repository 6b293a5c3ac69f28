"""Contracts and data that make no sense: each ends in an error or a check that could not be made, never in a pass."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandera.polars as pdr
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dataplat as dp
from dataplat.validation import Contract, _element_wise, load_contract

ETERNAL = "a" * 60 + "b"


def _backtracks(value: str) -> bool:
    return re.match(r"(a+)+$", value) is not None


def _raises(value: int) -> bool:
    if value == 700:
        raise ValueError("seven hundred")
    return True


def _leaves(_: int) -> bool:
    raise SystemExit(0)


def _dies(_: int) -> bool:
    import os

    os._exit(0)


def _says_one(_: int) -> Any:
    return 1


def one(column: str, check: Any, kind: type = int, **options: Any) -> pdr.DataFrameSchema:
    """A schema of one column with one check."""
    return pdr.DataFrameSchema({column: pdr.Column(kind, check, **options)}, name="s")


@pytest.fixture(params=["table", "file", "version"])
def validate(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Judge a table as it is, as a Parquet file, or as a version of a lake."""

    def judge(table: pa.Table, schema: Any) -> Any:
        if request.param == "table":
            return dp.validate(table, schema)
        if request.param == "file":
            pq.write_table(table, tmp_path / "rows.parquet")
            return dp.validate(tmp_path / "rows.parquet", schema)
        lake = dp.open("memory://")
        lake.ingest(table, "d")
        return lake["d"].validate(schema)

    return judge


@pytest.mark.parametrize("check", [pdr.Check.ge(0), pdr.Check(_raises, element_wise=True), None])
def test_a_check_on_a_missing_column_fails(validate: Any, check: Any) -> None:
    """A contract on a column that is not there is not met, whatever it asks, and the column is named."""
    report = validate(pa.table({"number": [1]}), one("numbr", check))
    assert not report.ok
    assert [(each.name, each.column) for each in report.failed] == [("column_in_dataframe", "numbr")]
    assert "did you mean 'number'" in report.failed[0].detail


@pytest.mark.parametrize("text", ["import no_such_module_of_ours\n", "def f(:\n", "raise SystemExit(0)\n", ""])
def test_a_model_that_does_not_import_is_an_error(tmp_path: Path, text: str) -> None:
    """A file that raises, leaves, is no Python or lacks the name gives no contract at all."""
    (tmp_path / "c.py").write_text(text)
    with pytest.raises(dp.ContractError):
        load_contract(f"{tmp_path / 'c.py'}:Flights")


def test_a_check_that_never_ends_is_ended(validate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression that backtracks for ever ends as a check that could not be made; other checks have their verdicts."""
    monkeypatch.setattr(_element_wise, "PATIENCE", 0.5)
    checks = [pdr.Check(_backtracks, element_wise=True), pdr.Check.str_startswith("a")]
    start = time.monotonic()
    report = validate(pa.table({"a": ["aaa", ETERNAL, "b"]}), one("a", checks, str))
    assert time.monotonic() - start < 60
    statuses = {check.name: (check.status, check.failing) for check in report.checks if check.column == "a"}
    assert statuses["_backtracks"] == ("could not check", None)
    assert statuses["str_startswith('a')"] == ("failed", 1)
    (late,) = (check for check in report.failed if check.name == "_backtracks")
    assert "longer than 0.5 s for one value" in late.detail


def test_a_check_that_never_ends_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it ran into its limit a check is not asked of the row groups that follow: the limit is of the whole check."""
    monkeypatch.setattr(_element_wise, "PATIENCE", 0.3)
    asked: list[int] = []
    ask = _element_wise.ask_each

    def noting(function: Any, values: Any, patience: float | None = None) -> Any:
        asked.append(len(values))
        return ask(function, values, patience)

    monkeypatch.setattr("dataplat.validation._rows.ask_each", noting)
    pq.write_table(pa.table({"a": [ETERNAL] * 50}), tmp_path / "r.parquet", row_group_size=1, use_dictionary=False)
    report = dp.validate(tmp_path / "r.parquet", one("a", pdr.Check(_backtracks, element_wise=True), str))
    assert not report.ok
    assert len(asked) <= 4  # by each of two threads, and once more where both had begun


def test_slow_is_not_eternal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is of one value: a check that takes longer in sum is waited for."""
    monkeypatch.setattr(_element_wise, "PATIENCE", 3.0)

    def slow(_: int) -> bool:
        time.sleep(0.5)
        return True

    assert dp.validate(pa.table({"a": list(range(8))}), one("a", pdr.Check(slow, element_wise=True))).ok


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_raises, "ValueError: seven hundred"),
        (_leaves, "SystemExit"),
        (_dies, "the process that ran it ended"),
        (_says_one, "answers True or False, not 1"),
    ],
)
def test_a_check_that_breaks_off_could_not_be_made(validate: Any, function: Any, said: str) -> None:
    """A check that raises in the middle, leaves, kills its process or answers nonsense fails, and its reason is told."""
    report = validate(pa.table({"a": list(range(1000))}), one("a", pdr.Check(function, element_wise=True)))
    (failure,) = report.failed
    assert (failure.status, failure.failing) == ("could not check", None)
    assert said in failure.detail


@pytest.mark.parametrize(
    "checks",
    [
        [pdr.Check.isin([])],
        [pdr.Check.in_range(0, 5), pdr.Check.gt(5)],
        [pdr.Check.in_range(0, 5, include_max=False), pdr.Check.ge(5)],
        [pdr.Check.in_range(0, 2), pdr.Check.in_range(3, 4)],
        [pdr.Check.eq(1), pdr.Check.eq(2)],
        [pdr.Check.eq(1), pdr.Check.lt(1)],
        [pdr.Check.isin([1, 2, 3]), pdr.Check.ge(4)],
        [pdr.Check.isin([1, 2]), pdr.Check.isin([3])],
    ],
)
def test_what_no_value_can_meet_is_refused(checks: list[Any]) -> None:
    """Checks of a column that leave no value are an error of the contract, before any data is looked at."""
    with pytest.raises(dp.ContractError, match="no value of column 'a'"):
        Contract(one("a", checks))


@pytest.mark.parametrize(
    "make",
    [
        lambda: pdr.Check.in_range(5, 1),
        lambda: pdr.Check.str_length(5, 2),
        lambda: dp.row_count(min=5, max=3),
        lambda: dp.mean("a", 3, 1),
        lambda: dp.null_share("a", min=2),
        dp.unique,
        lambda: dp.unique("a", "a"),
    ],
)
def test_reversed_bounds_and_odd_rules_are_refused(make: Any) -> None:
    """Bounds the wrong way round, a share above one and a uniqueness of nothing are refused where they are written."""
    with pytest.raises(ValueError):  # noqa: PT011 - pandera's own, and ours, which is one
        make()


@pytest.mark.parametrize("checks", [[pdr.Check.ge(1), pdr.Check.le(1)], [pdr.Check.isin([1, 5]), pdr.Check.gt(4)]])
def test_bounds_that_touch_are_met(checks: list[Any]) -> None:
    """What one value can meet is no contradiction."""
    assert Contract(one("a", checks)).schema is not None


class _Odd:
    """No type that polars knows."""


def test_a_type_that_pandera_cannot_express_is_refused() -> None:
    """A declared type that is none is an error of the contract file."""
    with pytest.raises(TypeError):
        one("a", None, _Odd)


def test_data_of_a_type_that_pandera_cannot_express(validate: Any) -> None:
    """Data that polars cannot take in is an error or a failure, not a pass."""
    for kind, value in ((pa.map_(pa.string(), pa.int64()), [("k", 1)]), (pa.null(), None)):
        report = validate(pa.table({"a": pa.array([value], kind)}), one("a", pdr.Check.ge(0)))
        assert not report.ok
        assert "dtype('Int64')" in {check.name for check in report.failed}


def test_data_that_polars_panics_on_is_an_error() -> None:
    """A type at which polars gives up is a ContractError that says so."""
    rows = pa.table({"a": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    with pytest.raises(dp.ContractError, match="cannot be evaluated on columns a"):
        dp.validate(rows, one("a", pdr.Check.ge(0)))


_MANY = """
import resource, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
import pandera.polars as pdr
import dataplat as dp

def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))

path, rows = sys.argv[1], 10_000_000
schema = pa.schema({"id": pa.int64(), "a": pa.int64()})
with pq.ParquetWriter(path, schema) as writer:
    for start in range(0, rows, 1 << 17):
        ids = np.arange(start, min(rows, start + (1 << 17)))
        writer.write_table(pa.table({"id": ids, "a": -1 - ids % 7}, schema=schema))
contract = pdr.DataFrameSchema({"a": pdr.Column(int, [pdr.Check.ge(0), pdr.Check.isin([1, 2])])})
dp.validate(pa.table({"a": [1]}), contract)
before = peak()
report = dp.validate(path, contract, key="id")
for check in report.failed:
    print(check.failing, len(check.examples), check.examples[99].position)
print((peak() - before) // 1024)
"""


def test_ten_million_failures_stay_bounded(tmp_path: Path) -> None:
    """Of a column in which every row fails each is counted, a hundred are kept, and memory does not grow with them."""
    command = [sys.executable, "-c", _MANY, str(tmp_path / "many.parquet")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert out[:2] == ["10000000 100 99"] * 2
    assert int(out[2]) < 250  # MB; the column alone has 80, its rows with their failures many times that


class _Rule:
    """A rule that somebody wrote, which returns what it is given."""

    name, column, severity, environment = "mine", None, None, None

    def __init__(self, given: Any, remembers: Any = lambda: True) -> None:
        self.given, self.remembers = given, remembers

    def describe(self) -> dict[str, Any]:
        return {}

    def check(self, subject: Any, context: Any) -> Any:
        return self.given


@pytest.mark.parametrize("rule", [_Rule(None), _Rule(True), _Rule(None, remembers=lambda: 1 / 0)])
def test_a_rule_that_answers_nothing_is_no_pass(validate: Any, rule: Any) -> None:
    """A rule that returns no outcome, or raises where it says of itself what it is, is a check that could not be made."""
    report = validate(pa.table({"a": [1]}), Contract(checks=[rule]))
    assert not report.ok
    assert [(check.name, check.status) for check in report.failed] == [("mine", "could not check")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"checks": [dp.unique]}, "takes rules"),
        ({"checks": [_Rule]}, "takes rules"),
        ({"checks": dp.unique("a")}, "takes rules"),
        ({"checks": [lambda data: True]}, "takes rules"),
        ({"checks": "unique"}, "takes rules"),
        ({"severity": "fatal"}, "error or warn, not 'fatal'"),
    ],
)
def test_contracts_take_rules(options: Any, said: str) -> None:
    """What is no rule, and no severity, is refused when the contract is written."""
    with pytest.raises(dp.ContractError, match=said):
        Contract(**options)


def test_no_contract_is_no_pass() -> None:
    """Where no contract is given nothing is judged."""
    with pytest.raises(dp.ContractError, match="no contract was given"):
        dp.validate(pa.table({"a": [1, 1]}), None)


@pytest.mark.parametrize("name", ["__row", "__part", "__block", "__position", "__count"])
def test_columns_may_have_any_name(validate: Any, name: str) -> None:
    """A column of a name that positions could have is judged as any other is."""
    table = pa.table({name: [1, 2, -2, 2]})
    report = validate(table, Contract(one(name, pdr.Check(_raises, element_wise=True)), [dp.unique(name)]))
    assert [(check.name, check.failing) for check in report.failed] == [("unique", 2)]
    failed = validate(table, one(name, pdr.Check.ge(0)))
    assert failed.failures.select(["row", "value"]).to_pylist() == [{"row": 2, "value": "-2"}]
