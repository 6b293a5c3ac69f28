"""Rows of a view that count, in the order of the rules: what every engine moves, filters and sorts, and the kernel reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows that pass `where`, ordered by (high, low, e, k, own columns): keys by digest, then time, then PIT 6.

    Attributes:
        high: the upper half of the digest of each row's key, as `dataplat.lake.content_id.key_digests` gives it of the
            entity's columns in the entity's dtype; 0 where a value of the key is null, and for views without entities.
        low: the lower half.
        keyless: rows of which a value of the key is null: nobody asks for them (PIT 12), but they may be newer versions
            of an event (PIT 7); None: none are.
        e: event times, microseconds UTC.
        k: from when each row can be served, with the view's delay; the same array as `e` where these are all the same.
        gone: when each was deleted, with the delay; `lives.FOREVER`: never; None: none was.
        event: digests of the row key, shape (rows, 2); None where the view names none.
        keys: the entity's columns, called by the entities, in the entity's dtypes.
        columns: the view's own columns (`view.view.columns`), in the types of the source.
    """

    high: Words
    low: Words
    keyless: NDArray[np.bool_] | None
    e: Ints
    k: Ints
    gone: Ints | None
    event: Words | None
    keys: pa.Table
    columns: pa.Table

    def __len__(self) -> int:
        return len(self.e)

    @property
    def nbytes(self) -> int:
        """Return how many bytes they take, about."""
        words = (self.high, self.low, self.keyless, self.e, self.k, self.gone, self.event)
        tables: int = self.keys.nbytes + self.columns.nbytes
        return tables + sum(each.nbytes for each in words if each is not None)
