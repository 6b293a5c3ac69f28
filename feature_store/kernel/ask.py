"""What is asked of a view: keys and times, each for itself (PIT 5), as digests that are searched for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.order import digests
from dataplat.feature_store.keys import typed_keys

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Ask:
    """Questions: whose features, and when.

    Attributes:
        high: the upper half of the digest of each key, as in `Facts`.
        low: the lower half.
        keyless: which have no key, since a value of it is null; None: all have one.
        t: the time of each, microseconds UTC.
    """

    high: Words
    low: Words
    keyless: NDArray[np.bool_] | None
    t: Ints

    @classmethod
    def of(cls, view: FeatureView, spine: pa.Table, t: Ints) -> Ask:
        """Return what the rows of a spine ask of a view.

        Raises:
            SchemaError: A key column is missing, or a value is no key of its entity.
        """
        entities = view.view.entities
        columns = dict(zip((entity.name for entity in entities), view.spine_keys, strict=True))
        keys = typed_keys(entities, spine, columns, "the spine")
        return cls(*digests(keys, len(t)), t)

    def __len__(self) -> int:
        return len(self.t)

    def take(self, rows: Ints) -> Ask:
        """Return some of them."""
        return Ask(self.high[rows], self.low[rows], None if self.keyless is None else self.keyless[rows], self.t[rows])
