"""What a manifest knows of one part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dataplat.lake.digest import Digest

Scalar: TypeAlias = int | float | str | bool
"""A bound: int for integers; int for dates, times, timestamps and durations, in nanoseconds (since the epoch);
str for strings; str for decimals, as `1.50`; float; bool. It means the same whatever unit, scale or width the column
has, so a type that is widened leaves the statistics of older parts right."""


@dataclass(frozen=True, slots=True)
class ColumnStats:
    """Exact statistics of one column of one part, as written (deletes not taken into account).

    `low` and `high` are None where there is no bound: all null (or all NaN), a type without order, a time beyond
    ± 2**63 nanoseconds, or a string over 256 bytes. NaN is counted apart and is in no bound. Strings are ordered by UTF-8 bytes.
    """

    nulls: int
    nans: int = 0
    low: Scalar | None = None
    high: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet object of a dataset, with the row positions of it that no longer count.

    `id` is the SHA-256 (hex) of the object's bytes; `size` its bytes; `rows` the rows written;
    `footer` the SHA-256 of its Parquet footer; `digest` the sum over all written rows under the part's own
    schema; `deletes` the id of a Roaring bitmap object, `deleted` its cardinality; `stats` by column name.
    `place` is where a manifest holds the part (-1: not in one yet): rows are read in ascending order of place.
    The same bytes appended twice are two parts with one id, which only their places tell apart.
    """

    id: str
    rows: int
    size: int
    footer: str
    digest: Digest
    stats: Mapping[str, ColumnStats] = field(default_factory=dict)
    deletes: str | None = None
    deleted: int = 0
    place: int = field(default=-1, compare=False)

    @property
    def live(self) -> int:
        """Rows that count."""
        return self.rows - self.deleted

    def with_deletes(self, deletes: str | None, deleted: int) -> Part:
        """Return the same part with other deletes."""
        return replace(self, deletes=deletes, deleted=deleted)
