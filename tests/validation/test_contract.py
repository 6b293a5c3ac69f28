"""Contracts: what is asked of rows, what of the whole, and that nothing passes by accident."""

import functools
from pathlib import Path

import pandera.polars as pdr
import polars as pl
import pyarrow as pa
import pytest

from dataplat.errors import ContractError
from dataplat.validation import Contract, load_contract
from dataplat.validation.rules import Context
from dataplat.validation.subject import TableSubject


class Flights(pdr.DataFrameModel):
    flight: int = pdr.Field(ge=1, unique=True)
    delay: float = pdr.Field(ge=-120, nullable=True)
    carrier: str = pdr.Field(isin=["AA", "UA"])


def table(**columns):
    """Build a table of flights."""
    columns = {"flight": [1, 2, 3], "delay": [0.5, None, -1.0], "carrier": ["AA", "UA", "AA"]} | columns
    return pa.table(columns)


def batch(**columns):
    """Build a batch of flights."""
    return table(**columns).to_batches()[0]


def by_name(outcomes):
    """Index outcomes by column and check."""
    return {(o.column, o.name): o for o in outcomes}


def test_good_rows_pass():
    """A batch that meets the contract has only good rows and no failures."""
    verdict = Contract(Flights, name="Flights").check_batch(batch())
    assert verdict.ok
    assert verdict.good.to_pylist() == [True, True, True]
    good, bad = verdict.split(batch())
    assert good.num_rows == 3
    assert bad.num_rows == 0
    assert bad.schema.names == ["flight", "delay", "carrier", "failures"]


def test_failing_rows_are_told_apart():
    """A failing row is masked out, and its text names every check that it fails with the value."""
    data = batch(delay=[-500.0, None, 3.0], carrier=["ZZ", "UA", None])
    verdict = Contract(Flights, name="Flights").check_batch(data, key=["flight"])
    assert verdict.good.to_pylist() == [False, True, False]
    assert verdict.bad == 2
    assert not verdict.fatal
    good, bad = verdict.split(data)
    assert good.num_rows + bad.num_rows == data.num_rows
    assert bad["failures"].to_pylist() == [
        "delay: greater_than_or_equal_to(-120) got -500.0; carrier: isin(['AA', 'UA']) got ZZ",
        "carrier: not_nullable got null",
    ]
    delay = by_name(verdict.outcomes)["delay", "greater_than_or_equal_to(-120)"]
    assert (delay.failing, delay.examples[0].value, delay.examples[0].key) == (1, "-500.0", (("flight", "1"),))


@pytest.mark.parametrize(
    ("columns", "name", "said"),
    [
        ({"carier": ["AA", "UA", "AA"], "carrier": None}, "column_in_dataframe", "did you mean 'carier'"),
        ({"flight": ["1", "2", "3"]}, "dtype('Int64')", "String"),
    ],
)
def test_wrong_schema_fails_the_batch(columns, name, said):
    """A missing column or a wrong type leaves no good row, and says which column and why."""
    data = table(**{k: v for k, v in columns.items() if v is not None})
    data = data.drop_columns([k for k, v in columns.items() if v is None]).combine_chunks().to_batches()[0]
    verdict = Contract(Flights, name="Flights").check_batch(data)
    assert verdict.good.to_pylist() == [False] * 3
    assert name in {o.name for o in verdict.fatal}
    assert said in verdict.failures.to_pylist()[0]


def test_strict_refuses_extra_columns():
    """Under `strict` a column that the contract does not name fails the batch."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(int)}, strict=True)
    verdict = Contract(schema, name="s").check_batch(pa.record_batch({"a": [1], "b": [2]}))
    assert [(o.name, o.column) for o in verdict.fatal] == [("column_in_schema", "b")]


def test_unique_is_asked_of_the_dataset():
    """A duplicate across batches passes every batch and fails the dataset, counted on both sides, with its key."""
    rows = table(flight=[1, 2, 1])
    contract = Contract(Flights, name="Flights")
    for one in rows.to_batches(max_chunksize=1):
        assert contract.check_batch(one).ok
    report = contract.validate(rows, key=["carrier"])
    assert not report.ok
    (failure,) = report.failed
    assert (failure.name, failure.column, failure.level, failure.failing) == (
        "field_uniqueness",
        "flight",
        "dataset",
        2,
    )
    assert [(e.position, e.value, e.key) for e in failure.examples] == [
        (0, "1", (("carrier", "AA"),)),
        (2, "1", (("carrier", "AA"),)),
    ]
    assert "field_uniqueness" in str(report)
    assert report.to_dict()["ok"] is False


def test_unique_over_several_columns():
    """Columns that must be unique together are; one that is missing cannot be checked, which fails."""
    rows = pa.table({"a": [1, 1, 2, None, None], "b": ["x", "y", "x", "z", "z"]})
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, nullable=True), "b": pdr.Column(str)}, unique=["a", "b"])
    (failure,) = Contract(schema, name="s").validate(rows).failed
    assert failure.failing == 2
    assert [e.position for e in failure.examples] == [3, 4]
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, nullable=True)}, unique=["a", "c"])
    (failure,) = Contract(schema, name="s").validate(rows).failed
    assert (failure.status, failure.detail) == ("could not check", "no such column: c")


def _mean_is_small(data):
    return data.lazyframe.select(pl.col(data.key).mean() < 3)


def _all_small(data):
    return bool(data.lazyframe.select(pl.col(data.key).max() < 3).collect().item())


def _positive(data):
    return data.lazyframe.select(pl.col(data.key) > 0)


def _raises(data):
    raise RuntimeError("boom")


def _exits(data):
    raise SystemExit(2)


def _wrong_kind(data):
    return "yes"


@pytest.mark.parametrize(
    ("check", "status", "failing"),
    [
        (_mean_is_small, "failed", None),
        (_all_small, "failed", None),
        (_positive, "failed", 2),
        (_raises, "could not check", None),
        (_exits, "could not check", None),
        (_wrong_kind, "could not check", None),
    ],
)
def test_custom_checks_are_asked_of_the_dataset(check, status, failing):
    """A check that is not element_wise sees whole columns; what raises or answers nonsense fails closed."""
    rows = pa.table({"a": [1, -1, 100, None, 0, 5], "b": list("uvwxyz")})
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check(check), nullable=True)})
    contract = Contract(schema, name="s")
    for one in rows.to_batches(max_chunksize=2):
        assert contract.check_batch(one).ok
    report = contract.validate(rows, key=["b"])
    (failure,) = report.failed
    assert (failure.status, failure.failing) == (status, failing)
    if check is _positive:
        assert [(e.position, e.value, e.key) for e in failure.examples] == [
            (1, "-1", (("b", "v"),)),
            (4, "0", (("b", "y"),)),
        ]


def test_dataframe_checks_see_all_columns():
    """A check of the frame compares columns, and its failing rows are shown whole."""
    check = pdr.Check(lambda data: data.lazyframe.select(pl.col("a") <= pl.col("b")), name="ordered")
    schema = pdr.DataFrameSchema({"a": pdr.Column(int), "b": pdr.Column(int)}, checks=check)
    rows = pa.table({"a": [1, 5], "b": [2, 3], "c": ["x", "y"]})
    (failure,) = Contract(schema, name="s").validate(rows).failed
    assert (failure.name, failure.column, failure.failing) == ("ordered", None, 1)
    assert failure.examples[0].value == "{'a': 5, 'b': 3, 'c': 'y'}"


def test_a_custom_check_reads_only_its_columns():
    """Projection reaches the scan: what the check does not use is not read."""
    asked = []

    class Watched(TableSubject):
        def scan(self, columns, *, positions=False):
            asked.append(columns)
            return super().scan(columns, positions=positions)

    rows = pa.table({"a": [1, 2], "b": ["x", "y"]})
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check(_positive), nullable=True)})
    assert Contract(schema, name="s").judge(Watched(rows)).ok
    assert asked == [["a"]]


def test_memory_limit_fails_closed():
    """A custom check that reads more than the limit could not be checked, and says so."""
    rows = pa.table({"a": list(range(10_000))})
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check(_mean_is_small))})
    report = Contract(schema, name="s").judge(TableSubject(rows), context=Context(memory_limit=1000))
    (failure,) = report.failed
    assert failure.status == "could not check"
    assert "memory limit" in failure.detail


def test_element_wise_checks_run_per_batch():
    """An element_wise check is a row check; nulls are left out, and what raises in the middle fails closed."""

    def even(value):
        if value == 13:
            raise RuntimeError("unlucky")
        return value % 2 == 0

    schema = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check(even, element_wise=True), nullable=True)})
    contract = Contract(schema, name="s")
    verdict = contract.check_batch(pa.record_batch({"a": [2, 3, None, 4]}))
    assert verdict.good.to_pylist() == [True, False, True, True]
    assert verdict.failures.to_pylist() == ["a: even got 3"]
    verdict = contract.check_batch(pa.record_batch({"a": [2, 13, None, 4]}))
    assert verdict.good.to_pylist() == [False] * 4
    assert [o.status for o in verdict.fatal] == ["could not check"]
    rows = pa.table({"a": [2, 13, None, 4]})
    report = contract.validate(rows)
    assert not report.ok
    assert "unlucky" in report.failed[0].detail


def test_a_built_in_that_does_not_fit_the_type_fails_closed():
    """Comparing text with a number cannot be evaluated: no pass, and the other checks still speak."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(str, [pdr.Check.ge(0), pdr.Check.isin(["x"])])})
    verdict = Contract(schema, name="s").check_batch(pa.record_batch({"a": ["x", "y"]}))
    statuses = {o.name: o.status for o in verdict.outcomes}
    assert statuses["greater_than_or_equal_to(0)"] == "could not check"
    assert statuses["isin(['x'])"] == "failed"
    assert verdict.bad == 2


def test_a_bad_pattern_fails_closed():
    """A regular expression that cannot be compiled is a check that could not be evaluated."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(str, pdr.Check.str_matches("(?=x)"))})
    verdict = Contract(schema, name="s").check_batch(pa.record_batch({"a": ["x"]}))
    assert [o.status for o in verdict.fatal] == ["could not check"]


def test_warnings_do_not_fail():
    """A check with raise_warning counts its rows and lets them through."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check.ge(0, raise_warning=True))})
    contract = Contract(schema, name="s")
    verdict = contract.check_batch(pa.record_batch({"a": [-1, 1]}))
    assert verdict.ok
    report = contract.validate(pa.table({"a": [-1, 1]}))
    assert report.ok
    assert [(o.status, o.failing) for o in report.checks if o.name.startswith("greater")] == [("warned", 1)]


def test_columns_by_pattern():
    """A column declared by pattern governs every column that matches and is not declared by name."""
    schema = pdr.DataFrameSchema(
        {"x_1": pdr.Column(int, pdr.Check.ge(100)), "^x_.+$": pdr.Column(int, pdr.Check.ge(0), regex=True)}
    )
    verdict = Contract(schema, name="s").check_batch(pa.record_batch({"x_1": [100], "x_2": [-1], "x_3": [3]}))
    assert verdict.failures.to_pylist() == ["x_2: greater_than_or_equal_to(0) got -1"]


def test_optional_columns_may_be_missing():
    """required=False passes without the column."""
    schema = pdr.DataFrameSchema({"a": pdr.Column(int), "b": pdr.Column(int, pdr.Check.ge(0), required=False)})
    assert Contract(schema, name="s").check_batch(pa.record_batch({"a": [1]})).ok


def test_no_rows_meet_any_contract():
    """An empty batch and an empty dataset pass."""
    empty = table().slice(0, 0)
    contract = Contract(Flights, name="Flights")
    assert contract.check_batch(pa.RecordBatch.from_pylist([], schema=empty.schema)).ok
    assert contract.validate(empty).ok


def test_a_contract_that_drops_rows_unseen_is_refused():
    """What would drop rows is no judgement: it is refused by name."""
    with pytest.raises(ContractError, match="drop_invalid_rows"):
        Contract(pdr.DataFrameSchema({"a": pdr.Column(int)}, drop_invalid_rows=True), name="s")


@pytest.mark.parametrize("checks", [[pdr.Check.ge(10), pdr.Check.le(5)], [pdr.Check.gt(5), pdr.Check.le(5)]])
def test_contradictory_bounds_are_refused(checks):
    """Bounds that no value can meet are an error of the contract, not of every row."""
    with pytest.raises(ContractError, match="no value of column 'a'"):
        Contract(pdr.DataFrameSchema({"a": pdr.Column(int, checks)}), name="s")


def test_a_million_failures_stay_bounded():
    """A million failing rows are counted exactly and sampled."""
    contract = Contract(pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check.ge(0), unique=True)}), name="s")
    rows = pa.table({"a": pl.repeat(-1, 1_000_000, dtype=pl.Int64, eager=True).to_arrow()})
    report = contract.validate(rows, key=["a"])
    assert {(o.name, o.failing, len(o.examples)) for o in report.failed} == {
        ("greater_than_or_equal_to(0)", 1_000_000, 100),
        ("field_uniqueness", 1_000_000, 100),
    }
    assert [e.position for e in report.failed[0].examples] == list(range(100))


def test_id_is_stable_and_tells_contracts_apart():
    """Equal contracts have equal ids; another bound, name, type or source text has another."""

    def of(name="s", dtype=int, check=None, **options):
        return Contract(pdr.DataFrameSchema({"a": pdr.Column(dtype, check, **options)}), name=name).id

    limit = 3
    assert of() == of()
    assert of(check=pdr.Check.isin({"a", "b", "c"})) == of(check=pdr.Check.isin({"c", "b", "a"}))
    ids = {
        of(),
        of(name="t"),
        of(dtype=float),
        of(nullable=True),
        of(unique=True),
        of(check=pdr.Check.ge(1)),
        of(check=pdr.Check.ge(2)),
        of(check=pdr.Check(lambda d: d.lazyframe.select(pl.col(d.key) > 1))),
        of(check=pdr.Check(lambda d: d.lazyframe.select(pl.col(d.key) > 2))),
        of(check=pdr.Check(functools.partial(_above, 1))),
        of(check=pdr.Check(lambda d: d.lazyframe.select(pl.col(d.key) > limit))),
    }
    assert len(ids) == 11


def _above(limit, data):
    return data.lazyframe.select(pl.col(data.key) > limit)


FILE = """
import pandera.polars as pa
import polars as pl

class Flights(pa.DataFrameModel):
    a: int = pa.Field(ge=0)

    @pa.check("a")
    def small(cls, data):
        return data.lazyframe.select(pl.col(data.key) < LIMIT)

schema = pa.DataFrameSchema({"a": pa.Column(int)})
nothing = 3
"""


@pytest.fixture
def file(tmp_path):
    """Write a contract file."""
    path = tmp_path / "schema.py"
    path.write_text("from __future__ import annotations\nLIMIT = 10\n" + FILE)
    return path


def test_load_by_file_and_name(file):
    """FILE:NAME gives a model or a schema; an edit of the file is seen at once and changes the id."""
    contract = load_contract(f"{file}:Flights")
    assert contract.name == "Flights"
    assert load_contract(f"{file}:schema").columns == ("a",)
    assert load_contract(f"{file}:Flights").id == contract.id
    file.write_text(file.read_text().replace("< LIMIT", "< LIMIT + 0"))
    assert load_contract(f"{file}:Flights").id != contract.id
    assert not contract.validate(pa.table({"a": [11]})).ok


def test_load_takes_the_object_itself():
    """A model, a schema and a contract are contracts as they are."""
    assert load_contract(Flights).name == "Flights"
    contract = load_contract(pdr.DataFrameSchema({"a": pdr.Column(int)}, name="plain"))
    assert contract.name == "plain"
    assert load_contract(contract) is contract


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("schema.py", "FILE:NAME"),
        ("gone.py:Flights", "no file"),
        ("schema.py:Flihgts", "did you mean 'Flights'"),
        ("schema.py:nothing", "no pandera polars model"),
        ("raises.py:Flights", "ZeroDivisionError.*line 3"),
        ("exits.py:Flights", "SystemExit"),
        ("syntax.py:Flights", "cannot be read"),
        ("broken.py:Flights", "pandera cannot build"),
    ],
)
def test_what_does_not_load_says_why(file, name, said):
    """A file or a name that gives no contract is a ContractError with the cause."""
    folder: Path = file.parent
    (folder / "raises.py").write_text("x = 1\n\n1 / 0\n")
    (folder / "exits.py").write_text("import sys\nsys.exit(3)\n")
    (folder / "syntax.py").write_text("def :\n")
    (folder / "broken.py").write_text(
        "import pandera.polars as pa\nclass Odd: pass\nclass Flights(pa.DataFrameModel):\n    a: Odd\n"
    )
    with pytest.raises(ContractError, match=said):
        load_contract(f"{folder}/{name}")


def test_a_neighbour_of_the_file_can_be_imported(file):
    """A contract file may import a module that lies beside it."""
    (file.parent / "neighbour_of_contract.py").write_text("LIMIT = 5\n")
    file.write_text("from neighbour_of_contract import LIMIT\n" + FILE)
    assert not load_contract(f"{file}:Flights").validate(pa.table({"a": [7]})).ok


def test_types_are_a_hint_for_reading():
    """The Arrow types that a contract asks for can be used to read text."""
    assert Contract(Flights, name="Flights").types() == {
        "flight": pa.int64(),
        "delay": pa.float64(),
        "carrier": pa.string(),
    }
