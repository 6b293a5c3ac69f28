"""Which tables a query reads, told by DuckDB's own parser, without any of them being there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from dataplat.errors import PredicateError

_ONE_SELECT = "the query must be one SELECT statement: versions never change, nothing else runs on them"


def table_names(text: str) -> set[str]:
    """Return the names of the tables that the one SELECT in `text` reads; names that a WITH gives are none.

    The query is parsed and not bound, so that joins by USING work although no table is registered yet.

    Raises:
        PredicateError: the text is not one SELECT statement.
    """
    import duckdb

    with duckdb.connect() as connection:
        [(answer,)] = connection.execute("select json_serialize_sql(?::varchar)", [text]).fetchall()
    tree = json.loads(answer)
    if tree["error"]:
        reason = tree["error_message"].rstrip(".!")
        if tree.get("error_type") == "not implemented":  # what is no SELECT
            raise PredicateError(_ONE_SELECT)
        hint = 'References with @ must be quoted: "flights@v1".' if "@" in text else ""
        message = f"the query cannot be read: {reason}. {hint}".rstrip()
        raise PredicateError(message)
    if len(tree["statements"]) != 1:
        raise PredicateError(_ONE_SELECT)
    return set(_read(tree, frozenset()))


def first_alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that differ only in case, which SQL cannot tell apart; None if there are none."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            return other, name
    return None


def _read(node: Any, hidden: frozenset[str]) -> Iterator[str]:
    """Yield the tables below `node`; `hidden` are the names that a WITH around it gives."""
    if isinstance(node, list):
        for item in node:
            yield from _read(item, hidden)
    elif isinstance(node, dict):
        for given in (node.get("cte_map") or {}).get("map", ()):
            name = frozenset({given["key"].casefold()})
            value = given["value"]
            query = value["query_node"] if "query_node" in value else value["query"]["node"]  # before DuckDB 2
            recursive = query["type"] == "RECURSIVE_CTE_NODE"
            yield from _read(value, hidden | name if recursive else hidden)
            hidden |= name
        if node.get("type") == "BASE_TABLE" and node["table_name"].casefold() not in hidden:
            yield node["table_name"]
        for key, item in node.items():
            if key != "cte_map":
                yield from _read(item, hidden)
