"""What of a record, beside its value, becomes a column: `_key`, `_partition`, `_offset`, `_timestamp`, `_headers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from dataplat.errors import ConfigError, SchemaMismatch

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.connectors.codecs import Records

Kept: TypeAlias = tuple[str, ...]
KEEPS: Final = ("key", "partition", "offset", "timestamp", "headers")


def parse_kept(names: Sequence[str]) -> Kept:
    """Return what is to be kept, each once and in the usual order; raise `ConfigError` for what no record has."""
    for name in names:
        if name not in KEEPS:
            raise ConfigError(f"records have no {name!r} to keep: there are {', '.join(KEEPS)}")
    return tuple(name for name in KEEPS if name in names)


def kept_in(schema: pa.Schema | None, asked: Sequence[str]) -> Kept:
    """Return what is to be kept: what was asked for, and what a dataset of that schema has kept so far."""
    names = () if schema is None else schema.names
    return parse_kept([*asked, *(name for name in KEEPS if f"_{name}" in names)])


def without_kept(schema: pa.Schema, kept: Kept) -> pa.Schema:
    """Return the columns that come from values."""
    import pyarrow as pa

    return pa.schema([field for field in schema if field.name.removeprefix("_") not in kept or field.name[:1] != "_"])


def with_kept(batch: pa.RecordBatch, records: Records, rows: NDArray[np.int64], kept: Kept) -> pa.RecordBatch:
    """Return rows with the columns that are kept of their records; raise `SchemaMismatch` where a value has such a one.

    Times are microseconds, in UTC; a key is bytes.
    """
    import pyarrow as pa

    if not kept:
        return batch
    for name in kept:
        if f"_{name}" in batch.schema.names:
            raise SchemaMismatch(
                f"the values of {records.topic} have a column '_{name}' of their own, so the {name} of a record cannot "
                f"be kept under that name: leave {name!r} out of --keep"
            )
    columns = {f"_{name}": _COLUMNS[name](records, rows) for name in kept}
    schema = pa.schema([*batch.schema, *(pa.field(name, column.type) for name, column in columns.items())])
    return pa.RecordBatch.from_arrays([*batch.columns, *columns.values()], schema=schema)


def headers_type() -> pa.DataType:
    """Return the type of the headers of a record."""
    import pyarrow as pa

    return pa.list_(pa.struct([("name", pa.string()), ("value", pa.binary())]))


def times(milliseconds: NDArray[np.int64]) -> pa.Array:
    """Return times of records as timestamps in UTC, null where a record has none."""
    import pyarrow as pa

    return pa.array(milliseconds * 1000, pa.int64(), mask=milliseconds < 0).cast(pa.timestamp("us", "UTC"))


def _key(records: Records, rows: NDArray[np.int64]) -> pa.Array:
    return _taken(records.keys, rows)


def _partition(records: Records, rows: NDArray[np.int64]) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.full(len(rows), records.partition, dtype=np.int32))


def _offset(records: Records, rows: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return pa.array(records.offsets[rows])


def _timestamp(records: Records, rows: NDArray[np.int64]) -> pa.Array:
    return times(records.timestamps[rows])


def _headers(records: Records, rows: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    if records.headers is None:
        return pa.nulls(len(rows), headers_type())
    return _taken(records.headers, rows)


def _taken(column: pa.Array, rows: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return column if len(rows) == len(column) else column.take(pa.array(rows))


_COLUMNS: Final[dict[str, Callable[[Records, NDArray[np.int64]], pa.Array]]] = {
    "key": _key,
    "partition": _partition,
    "offset": _offset,
    "timestamp": _timestamp,
    "headers": _headers,
}
