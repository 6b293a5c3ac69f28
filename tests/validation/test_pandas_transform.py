"""What a pandas model changes, an ingest changes, as pandera does it; the verdict is on what landed."""

from typing import Any

import pandera.pandas as pdp
import polars as pl
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat.validation import Contract


class Model(pdp.DataFrameModel):
    """A model that coerces, fills in, and strips."""

    a: int = pdp.Field(ge=2, coerce=True)
    b: str = pdp.Field(default="none")
    c: float = pdp.Field(le=10, nullable=True)

    @pdp.parser("b")
    def strip(cls, values: Any) -> Any:  # noqa: N805 (pandera makes it a class method)
        """Spaces around a text are not part of it."""
        return values.str.strip()


TABLE = pa.table({"a": ["1", "2", "x", "4"], "b": [" q ", None, "z", " w"], "c": [1.0, None, 20, 3]})


@pytest.fixture
def lake(tmp_path):
    """An empty lake."""
    return dp.open(tmp_path / "lake")


def test_an_ingest_changes_what_comes(lake):
    """Values are coerced, nulls filled, parsers run; a value that cannot be coerced is a reject with its row."""
    result = lake.ingest(TABLE, "d", contract=Model)
    assert (result.rows_added, result.rows_rejected, result.rows_quarantined) == (2, 1, 1)
    assert lake["d"].to_arrow().to_pydict() == {"a": [2, 4], "b": ["none", "w"], "c": [None, 3.0]}
    (reject,) = lake["d.rejects"].to_arrow().to_pylist()
    assert (reject["row"], reject["column"]) == (3, "a")
    assert "'x' cannot be coerced" in reject["error"]
    assert lake["d"].validate(Model).ok
    assert not dp.validate(TABLE, Model).ok  # who only judges changes nothing


def test_good_and_bad_are_the_input_and_what_landed_is_good(lake):
    """Of a pandas model, too, only the rows that fail wait; the rest lands and meets it."""
    schema = pdp.DataFrameSchema(
        {"k": pdp.Column(int, unique=True), "v": pdp.Column(float, pdp.Check.gt(0))},
        checks=pdp.Check(lambda frame: frame["v"] < 100, name="small"),
    )
    lake.ingest(pa.table({"k": [1], "v": [1.0]}), "d", contract=schema)
    result = lake.ingest(pa.table({"k": [1, 2, 3, 4], "v": [2.0, -2.0, 3.0, 100.0]}), "d", contract=schema)
    assert (result.rows_added, result.rows_quarantined) == (1, 3)
    assert sorted(lake["d"].to_arrow()["k"].to_pylist()) == [1, 3]
    assert sorted(lake.quarantine[result.quarantine].version.to_arrow()["k"].to_pylist()) == [1, 2, 4]
    assert lake["d"].validate(schema).ok


def test_text_is_read_by_the_types_that_it_asks_for(lake, tmp_path):
    """A column of floats that holds whole numbers, and one of texts that look like numbers, are what the model says."""
    (tmp_path / "t.csv").write_text("f,s,i\n1,01,5\n,02,6\n")
    schema = pdp.DataFrameSchema(
        {
            "f": pdp.Column(float, nullable=True),
            "s": pdp.Column(str),
            "i": pdp.Column(int),
            "o": pdp.Column(required=False),
        }
    )
    assert dp.validate(tmp_path / "t.csv", schema).ok
    assert lake.ingest(str(tmp_path / "t.csv"), "d", contract=schema).rows_added == 2
    assert lake["d"].to_arrow()["s"].to_pylist() == ["01", "02"]


def test_a_parser_of_all_values_is_given_them(lake, tmp_path):
    """One that is not element_wise sees a whole file, however many batches it comes in."""
    schema = pdp.DataFrameSchema(
        {"a": pdp.Column(float, parsers=pdp.Parser(lambda values: values / values.sum()))}, strict="filter"
    )
    batches = pa.table({"a": [1.0, 1.0, 2.0], "z": [0, 0, 0]}).to_batches(max_chunksize=1)
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    lake.ingest(reader, "d", contract=schema)
    assert lake["d"].to_arrow().to_pydict() == {"a": [0.25, 0.25, 0.5]}
    each = pdp.DataFrameSchema({"a": pdp.Column(float, parsers=pdp.Parser(lambda value: -value, element_wise=True))})
    contract = Contract(each)
    assert not contract.transform.whole
    lake.ingest(pa.table({"a": [1.0, 2.0]}), "e", contract=contract)
    assert lake["e"].to_arrow()["a"].to_pylist() == [-1.0, -2.0]


def test_columns_are_added_and_categories_are_texts(lake):
    """A missing column comes with its default; a category lands as its text, and is one for the model."""
    schema = pdp.DataFrameSchema(
        {"n": pdp.Column(float, default=1.5), "k": pdp.Column("category"), "i": pdp.Column("Int64", nullable=True)},
        add_missing_columns=True,
    )
    assert lake.ingest(pa.table({"k": ["x", "y"], "i": [1, None]}), "d", contract=schema).rows_added == 2
    found = lake["d"].to_arrow().select(["n", "k", "i"])
    assert found.to_pydict() == {"n": [1.5, 1.5], "k": ["x", "y"], "i": [1, None]}
    assert [str(kind) for kind in found.schema.types] == ["double", "string", "int64"]
    assert lake["d"].validate(schema).ok


def raises(_: Any) -> Any:
    """Stumble."""
    raise ValueError("oh")


@pytest.mark.parametrize(
    ("parser", "said"),
    [(raises, "ValueError: oh"), (lambda frame: frame.head(1), "no row goes unseen"), (lambda _: 3, "cannot change")],
)
def test_a_parser_that_breaks_lands_nothing(lake, parser, said):
    """One that raises, leaves rows out or gives no frame is an error of the contract."""
    schema = pdp.DataFrameSchema({"a": pdp.Column(int)}, parsers=pdp.Parser(parser))
    with pytest.raises(dp.ContractError, match=said):
        lake.ingest(pl.DataFrame({"a": [1, 2]}), "d", contract=schema)
    assert list(lake.datasets()) == []


def test_parsers_are_part_of_the_contract():
    """Another parser makes another contract, in every process the same."""
    ids = {
        Contract(pdp.DataFrameSchema({"a": pdp.Column(int, parsers=each)}), name="c").id
        for each in ([], pdp.Parser(raises), pdp.Parser(lambda values: values + 1))
    }
    assert len(ids) == 3
    assert Contract(Model).id == Contract(Model).id
