"""The rows that a training set is asked for, whatever they come as: a frame of any library, a reference, a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.times import NEVER, to_micros
from dataplat.lake.schema import did_you_mean
from dataplat.versioning.references import at_branch

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore


@dataclass(frozen=True, slots=True)
class Spine:
    """Keys, times, and whatever else a training set carries along.

    Attributes:
        table: the rows, in the order that they were given in.
        pins: (dataset, version id) of what they were read from; none of a frame.
    """

    table: pa.Table
    pins: tuple[tuple[str, str], ...] = ()


def spine_of(store: FeatureStore, given: Any) -> Spine:
    """Return the rows of a spine.

    Args:
        store: the feature store; references and queries are of its branch.
        given: an Arrow table, a Polars or pandas frame, or of any library that speaks Arrow's C stream; a dictionary of
            columns, or a list of dictionaries, a row each; the reference of a dataset; a query (`select …`).

    Raises:
        ConfigError: It is none of these.
        SchemaError: It holds what is no table: columns of other lengths, or values of other types in one.
    """
    from dataplat._query import Query
    from dataplat._version import Version

    if isinstance(given, str):
        text = given.strip()
        if text.lower().startswith(("select ", "with ", "select\n", "with\n")):
            given = store.lake.sql(text, store.branch)
        else:
            given = store.lake[at_branch(text, store.branch)]
    if isinstance(given, Version):
        return Spine(given.to_arrow(), ((given.dataset, given.id),))
    if isinstance(given, Query):
        return Spine(given.to_arrow(), tuple(sorted({(each.dataset, each.id) for each in given.inputs.values()})))
    import pyarrow as pa

    try:
        return Spine(_table(given))
    except (pa.ArrowException, TypeError) as error:
        raise SchemaError(f"the rows that were given are no table: {error}") from error


def _table(given: Any) -> pa.Table:
    """Return a frame of any library as Arrow has it."""
    import pyarrow as pa

    if isinstance(given, pa.Table):
        return given
    if isinstance(given, list | tuple) and all(isinstance(row, Mapping) for row in given):
        names = dict.fromkeys(name for row in given for name in row)
        return pa.table({name: [row.get(name) for row in given] for name in names})
    if isinstance(given, Mapping):
        return pa.table(dict(given))
    if type(given).__module__.partition(".")[0] == "pandas":  # its C stream keeps the index as a column
        return pa.Table.from_pandas(given, preserve_index=False).replace_schema_metadata(None)
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
        return pa.table(given)
    if callable(collect := getattr(given, "collect", None)):  # a lazy frame
        return _table(collect())
    raise ConfigError(
        "rows are a frame of any library, a list of dictionaries, a dictionary of columns, the reference of a dataset or a "
        f"query, and not {type(given).__name__}"
    )


def times_of(spine: pa.Table, column: str) -> NDArray[np.int64]:
    """Return the time of each row, microseconds UTC.

    Raises:
        SchemaError: The column is missing, holds no times, naive ones, or a null.
    """
    names = spine.schema.names
    if column not in names:
        raise SchemaError(
            f"the spine has no column {column!r}{did_you_mean(column, names)}; timestamp= says which has its times"
        )
    found = to_micros(spine.column(column), f"the spine's {column}")
    missing = np.flatnonzero(found == NEVER)
    if len(missing):
        raise SchemaError(f"the spine's {column} is null in row {int(missing[0])}: no features without a time")
    return found
