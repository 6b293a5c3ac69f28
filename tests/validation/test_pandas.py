"""Models for pandas are run by pandera on pandas: same failing rows, with their place and key; nothing passes by accident."""

from typing import Any

import pandera.pandas as pdp
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.validation import Contract
from dataplat.validation.rules import Context
from dataplat.validation.subject import TableSubject


class Model(pdp.DataFrameModel):
    """A model for pandas."""

    a: int = pdp.Field(ge=0, unique=True)
    b: str = pdp.Field(isin=["x"], nullable=True)
    c: float

    @pdp.dataframe_check
    def small(cls, df: Any) -> Any:  # noqa: N805 (pandera makes it a class method)
        """Rows are compared as a whole."""
        return df["a"] < 3


TABLE = pa.table({"a": [1, -1, 1, 9], "b": ["x", "y", None, "x"], "c": [1.0, None, 3.0, 4.0]})


def test_the_rows_that_fail_in_pandas_fail() -> None:
    """Each check with its column and failing rows, and what passed."""
    report = dp.validate(TABLE, Model, key="a")
    found = {(check.column, check.name): [example.position for example in check.examples] for check in report.failed}
    assert found == {
        ("a", "field_uniqueness"): [0, 2],
        ("a", "greater_than_or_equal_to(0)"): [1],
        ("b", "isin(['x'])"): [1],
        ("c", "not_nullable"): [1],
        (None, "small"): [3],
    }
    assert {check.failing for check in report.failed} == {1, 2}
    assert dict(next(c for c in report.failed if c.name == "small").examples[0].key) == {"a": "9"}
    assert dp.validate(TABLE.slice(0, 1), Model).ok


def test_a_missing_column_and_a_wrong_type_fail() -> None:
    """What pandera says of the frame itself fails, too; integers with a null stay integers."""
    assert not dp.validate(TABLE.drop_columns(["c"]), Model).ok
    assert not dp.validate(TABLE.set_column(0, "a", pa.array(["1", "2", "3", "4"])), Model).ok
    nullable = pdp.DataFrameSchema({"a": pdp.Column("Int64", nullable=True)})
    assert dp.validate(pa.table({"a": [1, None, 2**62 + 1]}), nullable).ok


def test_a_check_that_raises_is_no_pass() -> None:
    """A check that raises fails, by name."""
    schema = pdp.DataFrameSchema({"a": pdp.Column(int, pdp.Check(lambda _: 1 / 0, name="odd"))})
    report = dp.validate(pa.table({"a": [1]}), schema)
    assert [(check.name, check.status, check.failing) for check in report.failed] == [("odd", "could not check", None)]


def test_a_check_that_warns_names_its_rows_and_lets_pass() -> None:
    """`raise_warning=True` is a warning of the report, with the rows, and none of Python's."""
    schema = pdp.DataFrameSchema({"a": pdp.Column(int, pdp.Check.ge(2, raise_warning=True))})
    report = dp.validate(pa.table({"a": [1, 2]}), schema)
    (warned,) = (check for check in report.checks if check.status == "warned")
    assert (report.ok, warned.failing, warned.examples[0].position) == (True, 1, 0)


def test_columns_and_types_are_said_once() -> None:
    """One line for columns and types where they are right; where they are not, what is wrong stands there instead."""
    schema = pdp.DataFrameSchema({"a": pdp.Column(int)}, strict=True)
    names = [[check.name for check in dp.validate(table, schema).checks] for table in (TABLE.select(["a"]), TABLE)]
    assert names[0] == ["columns and types", "not_nullable"]
    assert "columns and types" not in names[1]


def test_of_a_sample_nothing_of_it_is_asked() -> None:
    """Pandas holds all rows: a sample says that nothing was asked, and `strict` fails."""
    report = dp.validate(TABLE, Model, sample=0.5)
    assert {check.status for check in report.checks} == {"not asked"}
    assert len(report.checks) == 7
    assert not dp.validate(TABLE, Model, sample=0.5, strict=True).ok


def test_what_pandas_cannot_hold_is_not_checked() -> None:
    """More rows than the memory limit could not be checked, and fail."""
    report = Contract(Model).judge(TableSubject(TABLE), context=Context(memory_limit=10))
    assert {check.status for check in report.failed} == {"could not check"}
    assert "memory limit" in report.failed[0].detail


def test_a_lake_holds_to_a_model_for_pandas(tmp_path: Any) -> None:
    """An ingest asks it of the dataset as it would be, and its id tells contracts apart."""
    lake = dp.open(tmp_path / "lake")
    assert lake.ingest(TABLE.slice(0, 1), "d", contract=Model).rows_added == 1
    result = lake.ingest(TABLE.slice(1), "d", contract=Model)
    assert (result.commit, result.rows_quarantined) == (None, 3)
    other = pdp.DataFrameSchema({"a": pdp.Column(int, pdp.Check.ge(1))}, name="Model")
    assert Contract(Model).id != Contract(other).id


def test_what_leaves_rows_unseen_is_refused() -> None:
    """drop_invalid_rows of a model for pandas is refused, and what is no table's schema."""
    with pytest.raises(dp.ContractError, match="drop_invalid_rows"):
        Contract(pdp.DataFrameSchema({"a": pdp.Column(int)}, drop_invalid_rows=True))
    for schema in (pdp.SeriesSchema(int), pdp.Column(int)):
        with pytest.raises(dp.ContractError, match="no pandera polars model"):
            Contract(schema)
