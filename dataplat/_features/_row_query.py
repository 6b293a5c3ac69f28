"""Queries that look at one row at a time: what they make of some rows is part of what they make of all.

    select flight_id, dest, arr_delay - dep_delay as made_up, landed_at from landings where not cancelled

Such a query is a dataset seen through expressions: its rows are made part by part, and remembered; rows that are pushed in the
columns of the dataset are served as the query shows them. DuckDB says what a query is made of (`json_serialize_sql`): one table
as it is, a list of expressions, a condition; no join, group, window, order, limit, sample or subquery, and no function that
looks at several rows, or gives another value when it is asked again (`duckdb_functions()`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat.feature_store.definitions import Sql

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.feature_store.definitions import FeatureView
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

_PLACE: Final = "__dataplat_place"
_BY_ROW: Final = frozenset(
    [
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "OPERATOR",
        "STAR",
        "TYPE",
    ]
)
"""Classes of expressions that look at one row, if what is in them does."""
_OF_NOW: Final = frozenset({"age", "current_schemas", "current_setting", "getvariable", "in_search_path"})
"""Functions with arguments that depend on when or where they are asked; others that do have a form without arguments."""
_NOTHING: Final[tuple[Any, ...]] = (None, [], {}, "STANDARD_HANDLING", {"map": []})


@dataclass(frozen=True, slots=True)
class RowQuery:
    """A query of one dataset, row by row.

    Attributes:
        name: what it calls the dataset.
        reads: the columns of the dataset that it may read, in lower case; None: all.
        kept: the columns that it shows as they are; None: all that it shows.
        numbered: the query with a column more: the place of the row.
    """

    name: str
    reads: frozenset[str] | None
    kept: frozenset[str] | None
    numbered: str

    def keeps(self, column: str) -> bool:
        """Say whether a column is that of the dataset, as it is."""
        return self.kept is None or column in self.kept

    def columns(self, schema: pa.Schema) -> list[str]:
        """Return the columns of the dataset that have to be read."""
        return [name for name in schema.names if self.reads is None or name.lower() in self.reads]

    def of(self, rows: pa.Table) -> tuple[pa.Table, NDArray[np.int64]]:
        """Return what the query makes of some rows of the dataset, and the place of each among them.

        Raises:
            PredicateError: A value cannot be computed.
        """
        import pyarrow as pa

        from dataplat._duckdb import close_off, connect, readable
        from dataplat._query import explained

        places = pa.array(np.arange(rows.num_rows))
        with connect() as connection:
            connection.register(self.name, readable(rows).append_column(_PLACE, places))
            close_off(connection, [])
            made = explained(lambda: connection.sql(self.numbered).to_arrow_table())
        return made.drop_columns([_PLACE]), np.asarray(made.column(_PLACE))


@lru_cache(maxsize=256)
def row_query(text: str) -> RowQuery | None:
    """Return a query as one that looks at a row at a time; None where it does not."""
    import duckdb

    with duckdb.connect() as connection:
        told = json.loads(_one(connection, "select json_serialize_sql(?)", text))
        if told.get("error") or len(told["statements"]) != 1:
            return None
        node = told["statements"][0]["node"]
        if not _is_plain(node):
            return None
        selected = node["select_list"]
        stars = [each for each in selected if each["class"] == "STAR"]
        if not set(_functions([selected, node["where_clause"]])) <= _scalars():
            return None
        if any(map(_is_clock, _read([selected, node["where_clause"]]))):
            return None
        if stars and (len(selected) > 1 or stars[0]["columns"] or stars[0]["relation_name"]):
            return None  # beside a star a column might come twice, and which of the two is meant nobody says
        bare = bool(stars) and not stars[0]["replace_list"] and not stars[0]["rename_list"]
        for star in stars:
            star["exclude_list"] = [*star["exclude_list"], _PLACE]
        place = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": [_PLACE]}
        reads = None if stars else frozenset(_read([selected, node["where_clause"]]))
        node["select_list"] = [*selected, place]
        numbered = _one(connection, "select json_deserialize_sql(?::json)", json.dumps(told))
    return RowQuery(node["from_table"]["table_name"], reads, None if bare else frozenset(_kept(selected)), numbered)


def of_view(view: FeatureView) -> RowQuery | None:
    """Return what shows a dataset to a view row by row; None: nothing does, or all of it is read as it is."""
    source = view.view.source
    return row_query(source.query) if isinstance(source, Sql) else None


def shown_rows(
    by_row: RowQuery | None, objects: Objects, parts: Sequence[Part], schema: pa.Schema, columns: Sequence[str]
) -> pa.Table:
    """Return columns of rows of parts, as a query shows them row by row, if one does."""
    from dataplat.lake.scan import to_table
    from dataplat.lake.schema import plain_schema

    wanted = [name for name in columns if name in schema.names]
    if by_row is None:
        return to_table(objects, parts, schema, columns=wanted)
    return by_row.of(to_table(objects, parts, schema, columns=by_row.columns(plain_schema(schema))))[0]


class Shown:
    """Rows of a dataset, as the sources of views show them: each query is asked once, however many views are of it.

    Args:
        rows: of the dataset.
    """

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self._made: dict[RowQuery | None, tuple[pa.Table, NDArray[np.int64]]] = {None: (rows, np.arange(rows.num_rows))}

    def to(self, view: FeatureView) -> tuple[pa.Table, NDArray[np.int64]]:
        """Return them as a view's source has them, and the place of each among those that were given.

        Raises:
            PredicateError: A value cannot be computed.
        """
        query = of_view(view)
        if query not in self._made:
            assert query is not None
            self._made[query] = query.of(self._rows)
        return self._made[query]


def _one(connection: Any, query: str, given: str) -> str:
    found: str = connection.execute(query, [given]).fetchall()[0][0]
    return found


def _is_plain(node: dict[str, Any]) -> bool:
    """Say whether a statement selects expressions of the rows of one table, and no more."""
    if node.get("type") != "SELECT_NODE":
        return False
    others = {
        name: value for name, value in node.items() if name not in {"type", "select_list", "where_clause", "from_table"}
    }
    table = node["from_table"]
    if table.get("type") != "BASE_TABLE" or any(value not in _NOTHING for value in others.values()):
        return False
    if (
        table["sample"]
        or table["at_clause"]
        or table["column_name_alias"]
        or table["schema_name"]
        or table["catalog_name"]
    ):
        return False
    return all(each in _BY_ROW for each in _classes([node["select_list"], node["where_clause"]]))


def _read(tree: Any) -> Iterator[str]:
    """Yield all that may be the name of a column, in lower case: of `a.b` either may."""
    for each in _nodes(tree):
        if each.get("class") == "COLUMN_REF":
            yield from (name.lower() for name in each["column_names"])


def _is_clock(name: str) -> bool:
    """Say whether what looks like a column is a function where there is no such column: of now, or of who asks."""
    return name.startswith(("current_", "localtime"))


def _kept(selected: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the columns that are shown as they are."""
    for each in selected:
        if (
            each["class"] == "COLUMN_REF"
            and each["alias"] in ("", each["column_names"][0])
            and len(each["column_names"]) == 1
        ):
            yield each["column_names"][0]


def _classes(tree: Any) -> Iterator[str]:
    """Yield the classes of all expressions of a tree."""
    for each in _nodes(tree):
        if "class" in each:
            yield each["class"]


def _functions(tree: Any) -> Iterator[str]:
    """Yield the names of all functions of a tree; with what only functions of several rows have, one that is none."""
    for each in _nodes(tree):
        if each.get("class") == "FUNCTION":
            several = each["filter"] or each["distinct"] or each["order_bys"]["orders"]
            yield "" if several else each["function_name"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for each in tree.values():
            yield from _nodes(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from _nodes(each)


@lru_cache(maxsize=1)
def _scalars() -> frozenset[str]:
    """Return the functions that depend on their arguments alone; those of times on the zone, too, which is always UTC."""
    import duckdb

    with duckdb.connect() as connection:
        told = connection.execute(
            "select function_name from duckdb_functions() group by all "
            "having bool_and(function_type = 'scalar') and bool_and(stability <> 'VOLATILE') "
            "and coalesce(min(len(parameters)) filter (stability <> 'CONSISTENT'), 1) > 0"
        ).fetchall()
    return frozenset(name for (name,) in told) - _OF_NOW
