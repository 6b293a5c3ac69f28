"""What may be asked of an ingest, and what is refused before anything is read."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.ingest._request import as_schema, columns, request_of


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "merge"}, "unknown mode 'merge': it is one of append, upsert, replace"),
        ({"on_error": "ignore"}, "unknown on_error 'ignore'"),
        ({"where": "a > 1"}, "where goes with mode='replace'"),
        ({"where": "a > 1", "mode": "upsert"}, "where goes with mode='replace'"),
        ({"order": "a"}, "order goes with mode='upsert'"),
        ({"keys": "a"}, "ingest has no option 'keys'"),
        ({"key": "a,b,a"}, "the key names a column twice: a, b, a"),
        ({"sort": ["a", "a"]}, "the sort names a column twice"),
    ],
)
def test_what_is_refused(memory_lake: Lake, options: dict[str, Any], said: str) -> None:
    """Options that are unknown, or do not go together, are refused by name; the source is not looked at."""
    with pytest.raises(dp.ConfigError, match=said):
        memory_lake.ingest("there-is-no-such-file.csv", "d", **options)


@pytest.mark.parametrize("name", ["", "a@b", "a~1", "-a", " a", "a//b", "a\n", "x" * 190])
def test_names_that_are_refused(memory_lake: Lake, name: str) -> None:
    """A name that could not be referred to, or whose quarantine could not be named, is refused at once."""
    with pytest.raises(dp.BadName):
        memory_lake.ingest(pa.table({"a": [1]}), name)
    with pytest.raises(dp.BadName):
        memory_lake.plan_ingest(pa.table({"a": [1]}), name)


def test_none_is_not_given() -> None:
    """An option of None is as if it were not given."""
    request = request_of("x", "d", mode=None, where=None, key=None, message=None)
    assert (request.mode, request.key, request.branch) == ("append", None, "main")


@pytest.mark.parametrize(
    ("given", "expected"), [("a", ("a",)), ("a, b", ("a", "b")), (["a", "b"], ("a", "b")), (None, None), ([], None)]
)
def test_columns_as_text_or_list(given: Any, expected: Any) -> None:
    """Columns may be a list, or text with commas."""
    assert columns(given) == expected


def test_a_schema_in_three_forms() -> None:
    """A schema may be Arrow's, a mapping of types, or the JSON form that the command line prints."""
    expected = pa.schema([("a", pa.int64()), ("b", pa.timestamp("us", "UTC"))])
    as_json = [{"name": "a", "type": "int64"}, {"name": "b", "type": "timestamp[us, UTC]"}]
    assert as_schema({field["name"]: field["type"] for field in as_json}) == expected
    assert as_schema(as_json) == expected
    assert as_schema(expected) == expected
    with pytest.raises(dp.SchemaError, match="int65"):
        as_schema({"a": "int65"})


@pytest.mark.parametrize(
    ("source", "once"),
    [
        ("-", True),
        ("a.csv", False),
        (pa.table({"a": [1]}), False),
        (pa.table({"a": [1]}).to_reader(), True),
        (pd.DataFrame({"a": [1, 2]}), False),
    ],
    ids=["stdin", "path", "table", "reader", "pandas"],
)
def test_what_can_be_read_again(source: Any, once: bool) -> None:
    """Standard input and Arrow readers are read once; a frame is not compared with a text to find out."""
    assert request_of(source, "d").reads_once == once
