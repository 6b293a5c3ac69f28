"""Times of sources and spines as int64 microseconds UTC (PIT 13, 14): floored, and never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dataplat.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

NEVER: Final = np.iinfo(np.int64).min
"""In the place of a null time."""


def to_micros(column: pa.Array | pa.ChunkedArray, what: str, zone: str | None = None) -> NDArray[np.int64]:
    """Return times as microseconds since 1970 UTC, floored; a null is `NEVER`.

    Args:
        column: timestamps of any unit, aware or naive, or dates (midnight).
        what: what it is, for errors (`weather.time_hour`).
        zone: the zone of naive ones. Of a wall time that is there twice, as clocks go back, the first is meant; one that
            is not there, as clocks go forward, is refused.

    Raises:
        SchemaError: it holds no times, naive ones without a zone, or a wall time that the zone does not have.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
        kind = column.type
    if not pa.types.is_timestamp(kind):
        raise SchemaError(f"{what} holds {kind}, and no times: cast it to timestamp[us, UTC]")
    if kind.tz is None:
        if zone is None:
            raise SchemaError(
                f"{what} holds times without a zone, which could be any: name it with zone= (zone='UTC' where they are UTC)"
            )
        try:
            column = pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="raise")
        except pa.ArrowInvalid as error:
            raise SchemaError(f"{what} cannot be read as times of {zone}: {error}") from error
    counts = column.cast(pa.int64())
    nulls = counts.null_count
    found = np.asarray(pc.fill_null(counts, 0) if nulls else counts).astype(np.int64, copy=True)
    found = _micros(found, kind.unit, what)
    if nulls:
        found[np.asarray(pc.is_null(column))] = NEVER
    return found


def _micros(counts: NDArray[np.int64], unit: str, what: str) -> NDArray[np.int64]:
    if unit == "us":
        return counts
    if unit == "ns":
        return np.floor_divide(counts, 1000)
    factor = {"s": 1_000_000, "ms": 1_000}[unit]
    bound = np.iinfo(np.int64).max // factor
    if counts.size and (counts.max() > bound or counts.min() < -bound):
        raise SchemaError(f"{what} holds a time that does not fit into microseconds")
    return counts * factor
