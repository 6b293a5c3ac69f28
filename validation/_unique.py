"""Exact uniqueness over a stream: digests first, values only where digests meet.

Pass one keeps eight bytes per row; equal values have equal digests, so no repeated digest proves uniqueness. Where
some repeat, further passes compare the values behind them. Memory is bounded: digests beyond the budget are
taken in several passes, each over its own share of digest space, and so are the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from dataplat.validation._rows import as_frame, examples, row_texts
from dataplat.validation.report import EXAMPLES_PER_CHECK, Example

Scan: TypeAlias = Callable[[list[str]], Iterator[pa.RecordBatch]]
"""Reads some columns of a dataset, always in the same row order; called as often as needed."""

_Digests: TypeAlias = npt.NDArray[np.uint64]

DIGESTS_AT_ONCE = 1 << 25  # 256 MiB of digests
CLASSES_AT_ONCE = 1 << 20  # distinct values compared in one pass
_ROWS_BEFORE_MERGE = 1 << 21
_POSITION = "__position"
_COUNT = "__count"


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows whose values occur more than once: how many of `rows`, and the first of them."""

    rows: int
    failing: int
    examples: tuple[Example, ...]


def find_repeats(
    scan: Scan, columns: Sequence[str], *, digests: int = DIGESTS_AT_ONCE, classes: int = CLASSES_AT_ONCE
) -> Repeats:
    """Count every row whose values in `columns` occur elsewhere too (null equals null, NaN equals NaN)."""
    wanted = list(columns)
    rows = failing = share = 0
    shares = 1
    first = pl.DataFrame()
    while share < shares:
        seen, repeated, shares = _repeated_digests(scan, wanted, share, shares, digests)
        rows = seen
        for start in range(0, len(repeated), classes):
            more, found = _compare(scan, wanted, repeated[start : start + classes])
            failing += more
            first = pl.concat([frame for frame in (first, found) if frame.width]) if found.width else first
            first = first.sort(_POSITION).head(EXAMPLES_PER_CHECK) if first.width else first
        share += 1
    return Repeats(rows, failing, _shown(first, wanted))


def _digested(scan: Scan, columns: list[str]) -> Iterator[tuple[pl.DataFrame, _Digests]]:
    for batch in scan(columns):
        frame = as_frame(batch, columns)
        yield frame, frame.hash_rows(seed=0).to_numpy()


def _repeated_digests(
    scan: Scan, columns: list[str], share: int, shares: int, budget: int
) -> tuple[int, _Digests, int]:
    """Return the rows seen, the digests of one share that repeat, and into how many shares digest space is cut.

    The first share is halved whenever it outgrows the budget; what is left out comes in later passes, whose
    shares, being as large, are not cut again.
    """
    kept: list[_Digests] = []
    rows = held = 0
    for frame, found in _digested(scan, columns):
        rows += frame.height
        mine = found if shares == 1 else found[found % np.uint64(shares) == share]
        kept.append(mine)
        held += len(mine)
        if held > budget:
            kept = [_twice_at_most(kept)]
            while share == 0 and len(kept[0]) > budget // 2:
                shares *= 2
                kept = [kept[0][kept[0] % np.uint64(shares) == 0]]
            held = len(kept[0])
    together = np.concatenate(kept) if kept else np.empty(0, np.uint64)
    kept.clear()
    together.sort()
    again = together[1:][together[1:] == together[:-1]]
    return rows, np.unique(again), shares


def _twice_at_most(parts: list[_Digests]) -> _Digests:
    """Drop a digest's third and later copies: that it repeats is all that has to be known."""
    values, counts = np.unique(np.concatenate(parts), return_counts=True)
    return np.concatenate([values, values[counts > 1]])


def _compare(scan: Scan, columns: list[str], repeated: _Digests) -> tuple[int, pl.DataFrame]:
    """Count rows by value among those with a repeated digest: two values may share one by chance."""
    groups: list[pl.DataFrame] = []
    candidates: list[pl.DataFrame] = []
    position = loose = shown = 0
    for frame, found in _digested(scan, columns):
        member = pl.Series(repeated[np.searchsorted(repeated, found).clip(max=len(repeated) - 1)] == found)
        hits = frame.with_row_index(_POSITION, offset=0).filter(member)
        hits = hits.with_columns(pl.col(_POSITION).cast(pl.Int64) + position)
        position += frame.height
        if shown < EXAMPLES_PER_CHECK:
            candidates.append(hits.head(EXAMPLES_PER_CHECK - shown))
            shown += len(candidates[-1])
        groups.append(hits.group_by(columns).agg(pl.len().cast(pl.Int64).alias(_COUNT)))
        loose += len(groups[-1])
        if loose > _ROWS_BEFORE_MERGE:
            groups = [_merged(groups, columns)]
            loose = 0
    repeats = _merged(groups, columns).filter(pl.col(_COUNT) > 1)
    first = pl.concat(candidates).join(repeats.drop(_COUNT), on=columns, how="semi", nulls_equal=True)
    return int(repeats[_COUNT].sum()), first


def _merged(groups: list[pl.DataFrame], columns: list[str]) -> pl.DataFrame:
    return pl.concat(groups).group_by(columns).agg(pl.col(_COUNT).sum())


def _shown(first: pl.DataFrame, columns: list[str]) -> tuple[Example, ...]:
    if not first.width:
        return ()
    values = first[columns[0]] if len(columns) == 1 else row_texts(first.select(columns))
    return examples(first[_POSITION].to_list(), values)
