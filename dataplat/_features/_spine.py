"""The rows that a training set is asked for, whatever they come as: a frame of any library, a reference, a query."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.times import NEVER, to_micros
from dataplat.lake.schema import did_you_mean
from dataplat.versioning.references import at_branch

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat._query import Query
    from dataplat._version import Version
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part

BLOCK: Final = 65_536
"""Rows whose order is hashed together."""


@dataclass(frozen=True, slots=True)
class Landed:
    """Rows that lie in a lake as parts which no version names: tasks wrote them."""

    objects: Objects
    parts: tuple[Part, ...]
    schema: pa.Schema

    def to_arrow(self) -> pa.Table:
        """Read them."""
        from dataplat.lake.scan import to_table

        return to_table(self.objects, self.parts, self.schema)


@dataclass(frozen=True)
class Spine:
    """Keys, times, and whatever else a training set carries along.

    Attributes:
        given: the rows, or the version, query or parts that they are of.
        pins: (dataset, version id) of what they are read from; none of a frame.
    """

    given: pa.Table | Version | Query | Landed
    pins: tuple[tuple[str, str], ...] = ()

    @cached_property
    def table(self) -> pa.Table:
        """The rows, in the order that they were given in."""
        import pyarrow as pa

        return self.given if isinstance(self.given, pa.Table) else self.given.to_arrow()

    @property
    def words(self) -> list[str]:
        """What the rows are in a few words: their content id, and a hash of their order, which that leaves out."""
        from dataplat.lake.content_id import content_id, digest

        told = content_id(digest(self.table.to_batches(), self.table.schema), self.table.schema)
        blocks = [order_of(self.table.slice(first, BLOCK)) for first in range(0, self.table.num_rows, BLOCK)]
        return [told, order_of_blocks(blocks)]


def order_of(rows: pa.Table) -> bytes:
    """Return a hash of a block of rows in their order."""
    from dataplat.lake.content_id import row_digests

    return hashlib.sha256(np.ascontiguousarray(row_digests(rows)).tobytes()).digest()


def order_of_blocks(blocks: Iterable[bytes]) -> str:
    """Return the hash of rows in their order from those of blocks of `BLOCK` rows, which others may have made."""
    return hashlib.sha256(b"".join(blocks)).hexdigest()


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
    if isinstance(given, Landed):
        return Spine(given)
    if isinstance(given, Version):
        return Spine(given, ((given.dataset, given.id),))
    if isinstance(given, Query):
        return Spine(given, tuple(sorted({(each.dataset, each.id) for each in given.inputs.values()})))
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
