"""Versions far away as DuckDB reads them: only the columns of a query, and of the row groups that its filters leave.

DuckDB asks a `pyarrow.dataset.Dataset` for a scanner with the columns and the filter that it needs, when a query runs.
Ours reads the version's parts by ranges. The filter is applied by Arrow, as DuckDB relies on; what we understand of it
is used before, to fetch less.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds

from dataplat.errors import DataplatError, PredicateError
from dataplat.lake.canonical import family
from dataplat.lake.scan import scan
from dataplat.lake.where import parse_where

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataplat._version import Version
    from dataplat.lake.where import Where

_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_COMPARISON: Final = re.compile(r'(.+?) (==|<=|>=|<|>) ("(?:[^"\\]|\\.)*"|[-+0-9.:T Z]+)', re.DOTALL)
_ORDERED: Final = frozenset({"int", "string", "date", "timestamp", "timestamp_tz"})
"""Families that compare alike for DuckDB, Arrow and us (of floats, NaN does not)."""


Failed: TypeAlias = Callable[[DataplatError], object]
"""Told the error that ended a scan."""


class FarDataset(ds.Dataset):  # type: ignore[misc]
    """The rows of a version, with the columns in the types that `schema` gives; `failed` is told why a scan stopped."""

    def __init__(
        self, version: Version, schema: pa.Schema, failed: Failed = lambda _: None
    ) -> None:  # it has no part of the class in C++
        self._version = version
        self._schema = schema
        self._failed = failed

    @property
    def schema(self) -> pa.Schema:
        """The columns as DuckDB takes them."""
        return self._schema

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: Any = None,
        **_options: Any,
    ) -> ds.Scanner:
        """Return a scanner of some columns of the rows that pass a filter."""
        wanted = self._schema.names if columns is None else list(columns)
        read = wanted if filter is None else self._with_those_of(filter, wanted)
        where = None if filter is None else understood(str(filter), self._schema)
        schema = pa.schema([self._schema.field(name) for name in read])
        return ds.Scanner.from_batches(self._batches(schema, where), schema=schema, columns=wanted, filter=filter)

    def _batches(self, schema: pa.Schema, where: Where | None) -> Iterator[pa.RecordBatch]:
        version = self._version
        rows = scan(version.objects, version.parts, version.manifest.schema, columns=schema.names, where=where)
        try:
            for batch in rows:
                yield batch if batch.schema.equals(schema) else batch.cast(schema)
        except DataplatError as error:  # Arrow and DuckDB would hand on its text alone
            self._failed(error)
            raise

    def _with_those_of(self, condition: Any, wanted: Sequence[str]) -> list[str]:
        """Return the columns wanted and those that a filter may look at."""
        odd = any('"' in name for name in self._schema.names)  # what is text and what a name cannot be told
        text = str(condition) if odd else _TEXT.sub('""', str(condition))
        looked_at = {name for name in self._schema.names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)}
        names = [name for name in self._schema.names if name in wanted or name in looked_at]
        try:
            self._schema.empty_table().select(names).filter(condition)
        except (pa.ArrowException, KeyError):
            return list(self._schema.names)
        return names


def understood(text: str, schema: pa.Schema) -> Where | None:
    """Return a predicate that holds wherever an Arrow filter, given as its text, does; None where little is understood."""
    terms = [term for each in _conjuncts(text) if (term := _term(each, schema)) is not None]
    if not terms:
        return None
    try:
        return parse_where(" and ".join(terms), schema)
    except PredicateError:
        return None


def _conjuncts(text: str) -> Iterator[str]:
    """Yield what must hold all together: `((a > 1) and (b == 2))` is two."""
    text = text.strip()
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    depth, start, pieces = 0, 0, []
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|\(|\)| and ', inner):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth < 0:
            yield text  # not one pair of brackets
            return
        if found[0] == " and " and depth == 0:
            pieces.append(inner[start : found.start()])
            start = found.end()
    if not pieces:
        yield inner
        return
    for piece in (*pieces, inner[start:]):
        yield from _conjuncts(piece)


def _term(text: str, schema: pa.Schema) -> str | None:
    """Return a comparison of a column with a value as SQL, if that is what `text` is and it means the same there."""
    found = _COMPARISON.fullmatch(text)
    if found is None or found[1] not in schema.names:
        return None
    name, test, value = found.groups()
    kind = family(schema.field(name).type)
    if kind not in _ORDERED or (kind == "string") != value.startswith('"'):
        return None
    if kind == "string":
        if "\\" in value:
            return None
        value = "'" + value[1:-1].replace("'", "''") + "'"
    elif kind != "int":
        value = f"'{value}'"
    elif not re.fullmatch(r"-?[0-9]+", value):
        return None
    return '"' + name.replace('"', '""') + f'" {test.replace("==", "=")} {value}'
