"""Records that are no rows, as a table: all that it takes to look at them, and to try them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.connectors.codecs._codec import GUIDS
from dataplat.connectors.kafka._kept import headers_type, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dataplat.connectors.codecs import Records, Reject


def stream_rejects_schema() -> pa.Schema:
    """Return the columns of rejected records of a stream.

    `source` is the id of the partition's position; `timestamp` the record's, in UTC; `schema_id` the one that the
    registry knows its schema by; `column` the one to blame, if one is; `key` and `raw` (the value) are bytes as they
    came, null where there was none; `headers` null where they were not read.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            ("topic", pa.string()),
            ("partition", pa.int32()),
            ("offset", pa.int64()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("schema_id", pa.int64()),
            ("column", pa.string()),
            pa.field("error", pa.string(), nullable=False),
            ("key", pa.binary()),
            ("raw", pa.binary()),
            ("headers", headers_type()),
        ]
    )


def rejects_of(records: Records, rejects: Sequence[Reject], source: str) -> pa.RecordBatch:
    """Return the rejected ones among `records`, in order of offset; `source` is the id of the partition's position."""
    import numpy as np
    import pyarrow as pa

    rejects = sorted(rejects, key=lambda reject: reject.index)
    index = np.array([reject.index for reject in rejects], dtype=np.int64)
    places = pa.array(index)
    schema = stream_rejects_schema()
    columns = [
        pa.array([source] * len(rejects)),
        pa.array([records.topic] * len(rejects)),
        pa.array(np.full(len(rejects), records.partition, dtype=np.int32)),
        pa.array(records.offsets[index]),
        times(records.timestamps[index]),
        pa.array([None if (reject.schema_id or 0) >= GUIDS else reject.schema_id for reject in rejects], pa.int64()),
        pa.array([reject.column for reject in rejects], pa.string()),
        pa.array([reject.error for reject in rejects], pa.string()),
        records.keys.take(places),
        records.values.take(places),
        pa.nulls(len(rejects), headers_type()) if records.headers is None else records.headers.take(places),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
