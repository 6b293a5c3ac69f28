"""Texts and bytes: what is asked of each distinct value is asked once where values repeat, and of each row else."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from dataplat.validation.profile._arrays import bare, hashes_of
from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._lengths import Lengths
from dataplat.validation.profile._runs import starts_of, summed
from dataplat.validation.profile._values import PATTERNS, SHARE, VALUES, Values, values_of

Array: TypeAlias = np.ndarray[Any, Any]

SHOWN: Final = 256
"""Characters of a text that are kept, to be shown."""

_PATTERN: Final = 32
_SAMPLE: Final = 1_000  # values that show whether values repeat


class TextsMeasure:
    """Takes texts or bytes. Kept are the hash of each distinct value, 8 bytes, and the texts that may turn out frequent.

    A value that holds 1 / 256 of the rows of the part holds as much of one of its pieces, and a part of few values has
    pieces of few: so the texts that a profile lists are among those that are kept.
    """

    def __init__(self, name: str, family: str) -> None:
        self._name, self._family = name, family
        self._rows = self._nulls = 0
        self._low: str | None = None
        self._high: str | None = None
        self._hashes: list[Array] = []
        self._counts: list[Array] = []
        self._texts: dict[int, str] = {}
        self._lengths = [Lengths.of(np.empty(0, np.int64))]
        self._shapes = pl.DataFrame(schema={"value": pl.String(), "count": pl.Int64()})

    def add(self, array: pa.Array) -> None:
        """Take some values."""
        self._rows += len(array)
        values, counts = _counted(array)
        if values.null_count():
            there = values.is_not_null()
            self._nulls += int(counts[~there.to_numpy()].sum())
            values, counts = values.filter(there), counts[there.to_numpy()]
        if len(values):
            self._tell(values, counts)
            self._measure(values, counts)

    def finish(self) -> ColumnProfile:
        """Return what is known of all that were taken."""
        none = np.empty(0, np.int64)
        counts, hashes = np.concatenate([none, *self._counts]), np.concatenate([none.view(np.uint64), *self._hashes])
        hashes, counts, _ = _summed(hashes, counts)
        return ColumnProfile(
            name=self._name,
            family=self._family,
            rows=self._rows,
            nulls=self._nulls,
            low=self._low,
            high=self._high,
            values=values_of(hashes, counts, lambda at: [self._texts[key] for key in hashes[at].tolist()]),
            lengths=Lengths.merge(self._lengths),
            patterns=self._patterns() if self._family == "string" else None,
        )

    def _tell(self, values: pl.Series, counts: Array) -> None:
        """Tell values apart by their hashes, and keep the texts of those that a profile may list."""
        keys, sums, first = _summed(hashes_of(plain_array(values)), counts)
        self._hashes.append(keys)
        self._counts.append(sums)
        listed = np.arange(len(keys)) if len(keys) < VALUES else np.flatnonzero(sums * SHARE >= sums.sum())
        shown = values.gather(first[listed])
        shown = shown.str.head(SHOWN) if self._family == "string" else shown.bin.head(SHOWN // 2).bin.encode("hex")
        self._texts.update(zip(keys[listed].tolist(), shown.to_list(), strict=True))

    def _measure(self, values: pl.Series, counts: Array) -> None:
        text = self._family == "string"
        lengths = (values.str.len_chars() if text else values.bin.size()).cast(pl.Int64).to_numpy()
        self._lengths.append(Lengths.of(lengths, counts))
        if text:
            ends = [values.min(), values.max(), self._low, self._high]
            told = [str(end)[:SHOWN] for end in ends if end is not None]
            self._low, self._high = min(told), max(told)
            shapes = _shapes(values, counts, lengths)
            self._shapes = pl.concat([self._shapes, shapes]).group_by("value").agg(pl.col("count").sum())

    def _patterns(self) -> Values:
        shapes, counts = self._shapes["value"], self._shapes["count"].to_numpy()
        hashes = hashes_of(plain_array(shapes), "pattern")
        return values_of(hashes, counts, lambda at: shapes.gather(at).to_list(), PATTERNS)


def plain_array(values: pl.Series) -> pa.Array:
    """Return a series without nulls as one array with 64-bit offsets."""
    array = values.to_arrow(compat_level=pl.CompatLevel.oldest())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _counted(array: pa.Array) -> tuple[pl.Series, Array]:
    """Return values and how often each is there; nulls among them, and values more than once where few repeat."""
    while isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if isinstance(array.type, pa.DictionaryType):
        values = _series(array.dictionary)
        counts = np.bincount(array.indices.drop_null().to_numpy(), minlength=len(values)).astype(np.int64)
        there = np.flatnonzero(counts)
        if not (absent := array.indices.null_count):
            return values.gather(there), counts[there]
        nothing = pl.Series([None], dtype=values.dtype)
        return values.gather(there).extend(nothing), np.append(counts[there], absent)
    values = _series(array)
    sample = values.gather_every(max(len(values) // _SAMPLE, 1))
    if sample.n_unique() > len(sample) // 2:
        return values, np.ones(len(values), np.int64)
    found = values.alias("value").value_counts(name="count")
    return found["value"], found["count"].to_numpy().astype(np.int64)


def _series(array: pa.Array) -> pl.Series:
    series = pl.Series(pl.from_arrow(bare(array)))
    return series.cast(pl.String) if series.dtype == pl.Null else series


def _summed(keys: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Return distinct keys, ascending, with the sum of the counts of each, and where one of each is."""
    order = np.argsort(keys)
    keys = keys[order]
    starts = starts_of(keys)
    return keys[starts], summed(counts[order], starts), order[starts]


def _class_table() -> Array:
    """Return what each byte of UTF-8 stands for in a pattern; 0 for those that go on with a character."""
    table = np.arange(256, dtype=np.uint8)
    table[:32] = table[127] = ord("C")
    table[ord("A") : ord("Z") + 1] = ord("A")
    table[ord("a") : ord("z") + 1] = ord("a")
    table[ord("0") : ord("9") + 1] = ord("9")
    table[0x80:0xC0] = 0
    table[0xC0:] = ord("U")
    return table


_CLASSES: Final = _class_table()


def _shapes(values: pl.Series, counts: Array, lengths: Array) -> pl.DataFrame:
    """Return the shapes of texts, with the rows of each: see `ColumnProfile.patterns`."""
    more = lengths > _PATTERN
    array = plain_array(values.str.head(_PATTERN) if more.any() else values)
    _, offsets, data = array.buffers()
    classed = pa.py_buffer(_CLASSES[np.frombuffer(data or b"", np.uint8)])
    shapes = pa.Array.from_buffers(pa.large_string(), len(array), [None, offsets, classed], 0, array.offset)
    frame = pl.DataFrame({"value": pl.from_arrow(shapes), "count": counts, "more": more})
    found = frame.group_by("value", "more").agg(pl.col("count").sum())
    tail = pl.when("more").then(pl.lit("…")).otherwise(pl.lit(""))
    return found.select(pl.col("value").str.replace_all("\0", "", literal=True) + tail, "count")
