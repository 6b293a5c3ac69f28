"""What a contract asks in one environment only is not asked in another, and is never taken for a pass."""

import pandera.pandas as pdp
import pandera.polars as pdr
import pyarrow as pa
import pytest

import dataplat as dp

TABLE = pa.table({"a": [1, 2, 3], "c": [1.0, 2.0, 3.0]})
POLARS = pdr.DataFrameSchema({"a": pdr.Column(int, pdr.Check.ge(2)), "c": pdr.Column(float, unique=True)})
PANDAS = pdp.DataFrameSchema({"a": pdp.Column(int, pdp.Check.ge(2)), "c": pdp.Column(float, unique=True)})


@pytest.mark.parametrize("schema", [POLARS, PANDAS], ids=["polars", "pandas"])
def test_a_contract_of_another_environment_is_not_asked(schema):
    """The report names each check that was not asked; `strict` fails by it; without an environment all is asked."""
    contract = dp.Contract(schema, [dp.row_count(min=10)], environment="train")
    report = dp.validate(TABLE, contract, environment="serve")
    silent = {(check.column, check.name) for check in report.checks if check.status == "not asked"}
    assert silent == {
        ("a", "columns and types"),
        ("a", "not_nullable"),
        ("a", "greater_than_or_equal_to(2)"),
        ("c", "columns and types"),
        ("c", "not_nullable"),
        ("c", "field_uniqueness"),
        (None, "row_count(min=10)"),
    }
    assert report.ok
    assert report.how["skipped"] == len(silent)
    assert not dp.validate(TABLE, contract, environment="serve", strict=True).ok
    for where in ("train", None):
        assert {check.name for check in dp.validate(TABLE, contract, environment=where).failed} == {
            "greater_than_or_equal_to(2)",
            "row_count(min=10)",
        }


@pytest.mark.parametrize("module", [pdr, pdp], ids=["polars", "pandas"])
def test_a_column_of_another_environment_may_be_there_or_not(module):
    """A column asked elsewhere is neither missing nor one too many, and of another type if it likes."""
    schema = module.DataFrameSchema(
        {"a": module.Column(str, metadata={"environment": "train"}), "c": module.Column(float)}, strict=True
    )
    for table in (TABLE, TABLE.drop_columns(["a"])):
        report = dp.validate(table, schema, environment="serve")
        assert report.ok
        assert "asked in train only" in str(report)
        assert not dp.validate(table, schema, environment="train").ok


def test_where_a_column_is_asked_is_part_of_the_contract():
    """Two contracts that ask a column in other environments have other ids."""
    ids = {
        dp.Contract(pdr.DataFrameSchema({"a": pdr.Column(int, metadata=each)}), name="c").id
        for each in (None, {"title": "a"}, {"environment": "train"}, {"environment": "serve"})
    }
    assert len(ids) == 3
