"""Records as they came, rows as they were meant, and the contract between the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

NO_VALUE: Final = "no value (a tombstone): only --format debezium takes rows away"

GUIDS: Final = 1 << 32
"""From here on the id of a schema is none of a registry's: it stands for a GUID."""


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition of a topic, by ascending offset, column by column and not decoded.

    `offsets` are int64; `timestamps` int64, in ms since 1970 (-1: none); `keys` and `values` Arrow binary arrays, in
    which null is no key and no value; `headers` a list array of structs (`name` string, `value` binary), None where
    they were not asked for; `epoch` is the leader epoch of the last record, None where the client does not tell.
    """

    topic: str
    partition: int
    offsets: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    keys: pa.BinaryArray
    values: pa.BinaryArray
    headers: pa.ListArray | None = None
    epoch: int | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes that keys, values and headers take."""
        return sum(array.nbytes for array in (self.keys, self.values, self.headers) if array is not None)

    def slice(self, start: int, stop: int) -> Records:
        """Return the records from index `start` up to `stop`; shares their memory."""
        return replace(
            self,
            offsets=self.offsets[start:stop],
            timestamps=self.timestamps[start:stop],
            keys=self.keys.slice(start, stop - start),
            values=self.values.slice(start, stop - start),
            headers=None if self.headers is None else self.headers.slice(start, stop - start),
        )


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is no row: its `index` among the records, and why. `column` where one value is to blame."""

    index: int
    error: str
    column: str | None = None
    schema_id: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What records hold: row i of `batch` is record `rows[i]` (ascending), and each other record is in `rejects`.

    Where a record takes rows away (a delete by key), it is in neither: row i of `deletes`, a batch of the key columns,
    is record `deleted[i]`. Every record is in exactly one of the three, but for those that say nothing of any row.

    `schema_ids` are those that a registry knows the schema of each record by; None where there is no registry.
    """

    batch: pa.RecordBatch
    rows: NDArray[np.int64]
    rejects: Sequence[Reject] = ()
    deletes: pa.RecordBatch | None = None
    deleted: NDArray[np.int64] | None = None
    schema_ids: NDArray[np.int64] | None = None


class Codec(Protocol):
    """Decodes the values of records.

    A record that cannot be read, or whose types do not go together with `like`, is a `Reject` and never an error;
    an error is what stands in the way of all (no registry answers, a setting is wrong).
    """

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return rows and rejects of `records`.

        `like` is the schema so far (of the dataset, or of earlier blocks; None before the first). The batch has a
        schema of its own, which may lack columns of `like`, have others, or wider types of the same kind:
        `together(like, batch.schema)` holds both.
        """
        ...


@runtime_checkable
class NamesKey(Protocol):
    """The ability of a codec to say which columns name a row; None before it has seen a record."""

    key: tuple[str, ...] | None
