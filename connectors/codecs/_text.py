"""Values as they are: text or bytes, in one column `value`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._codec import Decoded, Records, Reject


class BytesCodec:
    """Takes values as bytes; a null value is a null."""

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        batch = pa.RecordBatch.from_arrays([records.values], names=["value"])
        return Decoded(batch, np.arange(len(records), dtype=np.int64))


class TextCodec:
    """Takes values as text; a null value is a null, and what is no UTF-8 a reject."""

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        values, rows = records.values, np.arange(len(records), dtype=np.int64)
        try:
            return Decoded(pa.RecordBatch.from_arrays([values.cast(pa.string())], names=["value"]), rows)
        except pa.ArrowInvalid:
            rejects = [Reject(i, error) for i in rows.tolist() if (error := _wrong(values[i].as_py())) is not None]
        kept = np.delete(rows, [reject.index for reject in rejects])
        texts = pc.take(values, pa.array(kept)).cast(pa.string())
        return Decoded(pa.RecordBatch.from_arrays([texts], names=["value"]), kept, rejects)


def _wrong(value: bytes | None) -> str | None:
    try:
        b"" if value is None else value.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start} of the value"
    return None
