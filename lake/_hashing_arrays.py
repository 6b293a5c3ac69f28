"""Lay any Arrow array bare as words: encodings are seen through, nested types are summed over their children."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from dataplat.lake._hashing import ENTRY, GOLDEN, Lane, Positions, Sums, Words, mix, mix_int, salt
from dataplat.lake._hashing_scalars import (
    bool_words,
    clock_words,
    date_words,
    decimal_words,
    float_words,
    int_words,
    null_positions,
    string_words,
    values,
)
from dataplat.lake.canonical import family, plain

if TYPE_CHECKING:
    import pyarrow as pa

_SCALARS: Final = {
    "bool": bool_words,
    "int": int_words,
    "float": float_words,
    "decimal": decimal_words,
    "string": string_words,
    "binary": string_words,
    "date": date_words,
    "time": clock_words,
    "timestamp": clock_words,
    "timestamp_tz": clock_words,
    "duration": clock_words,
}
_MOST_ITEMS: Final = 1 << 20  # of a list column at once: bounds the memory for children


def salts(role: str, kind: pa.DataType, name: str = "") -> tuple[int, int]:
    """Return the salts of a field: its family tag is the family, for decimals with the scale."""
    return salt(role, _tag(kind), name)


def null_digest(role: str, name: str = "") -> tuple[int, int]:
    """Return what an inner null adds: the word 0 of the family `null`."""
    zero, one = salt(role, "null", name)
    return mix_int(0, zero), mix_int(1, one)


def _tag(kind: pa.DataType) -> str:
    kind = plain(kind)
    name = family(kind)
    return f"decimal({kind.scale})" if name == "decimal" else name


@dataclass(slots=True)
class Bare:
    """Turns arrays into words; remembers the dictionaries of one batch, so that each is hashed once."""

    _dictionaries: dict[tuple[Any, ...], tuple[pa.Array, Words]] = field(default_factory=dict)

    def words(self, array: pa.Array) -> Words:
        """Return the words of an array of any type that has a family."""
        import pyarrow as pa

        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            return self.words(array.storage)
        if isinstance(kind, pa.DictionaryType):
            return self._dictionary(array)
        if isinstance(kind, pa.RunEndEncodedType):
            return self._runs(array)
        name = family(kind)
        nulls = null_positions(array)
        if name in _SCALARS:
            return Words(*_SCALARS[name](array), nulls)
        if name == "null":
            nothing = np.zeros(len(array), np.uint64)
            return Words(nothing, nothing, nulls)
        if name == "struct":
            return self._struct(array, nulls)
        return self._lists(array, nulls)

    def digests(self, array: pa.Array, role: str, name: str = "") -> Sums:
        """Return the digest of every inner value, nulls tagged."""
        sums = Sums.zeros(len(array))
        sums.add(self.words(array), salts(role, array.type, name), null_digest(role, name))
        return sums

    def _dictionary(self, array: pa.Array) -> Words:
        entries, indices = array.dictionary, array.indices
        if len(entries) == 0:
            nothing = np.zeros(len(array), np.uint64)
            return Words(nothing, nothing, np.arange(len(array), dtype=np.int64))
        known = self._entries(entries)
        at = values(indices, indices.type.to_pandas_dtype()).astype(np.intp, copy=False)
        lane0 = known.lane0.take(at, mode="clip")  # what lies under a null index may be anything
        lane1 = lane0 if known.lane1 is known.lane0 else known.lane1.take(at, mode="clip")
        nulls = null_positions(indices)
        if known.nulls is not None:
            absent = np.zeros(len(entries), np.bool_)
            absent[known.nulls] = True
            missing = absent.take(at, mode="clip")
            if nulls is not None:
                missing[nulls] = True
            nulls = np.flatnonzero(missing)
        return Words(lane0, lane1, nulls)

    def _entries(self, entries: pa.Array) -> Words:
        buffers = (buffer and (buffer.address, buffer.size) for buffer in entries.buffers())
        key = (entries.type, entries.offset, len(entries), *buffers)
        if key not in self._dictionaries:
            self._dictionaries[key] = (entries, self.words(entries))  # the array is kept, so its addresses stay its own
        return self._dictionaries[key][1]

    def _runs(self, array: pa.Array) -> Words:
        first, count = array.find_physical_offset(), array.find_physical_length()
        ends = values(array.run_ends, array.run_ends.type.to_pandas_dtype())[first : first + count].astype(np.int64)
        ends = np.minimum(ends - array.offset, len(array))
        lengths = np.diff(ends, prepend=0)
        runs = self.words(array.values.slice(first, count))
        lane0 = np.repeat(runs.lane0, lengths)
        lane1 = lane0 if runs.lane1 is runs.lane0 else np.repeat(runs.lane1, lengths)
        if runs.nulls is None:
            return Words(lane0, lane1)
        absent = np.zeros(count, np.bool_)
        absent[runs.nulls] = True
        return Words(lane0, lane1, np.flatnonzero(np.repeat(absent, lengths)))

    def _struct(self, array: pa.Array, nulls: Positions | None) -> Words:
        sums = Sums.zeros(len(array))
        for index in range(array.type.num_fields):
            child = array.type.field(index)
            words = self.words(array.field(index))  # `field` applies the slice, but not the validity, of its parent
            sums.add(words, salts("field", child.type, child.name), null_digest("field", child.name))
        return Words(sums.lane0, sums.lane1, nulls)

    def _lists(self, array: pa.Array, nulls: Positions | None) -> Words:
        spans = _spans(array, nulls)
        rows = len(array)
        if spans.items > _MOST_ITEMS and rows > 1:
            halves = [self.words(array.slice(0, rows // 2)), self.words(array.slice(rows // 2))]
            lane0, lane1 = (np.concatenate([half.lane0 for half in halves]), np.concatenate([h.lane1 for h in halves]))
            return Words(lane0, lane1, nulls)
        if family(array.type) == "map":
            sums = self._entries_of_map(array, spans)
        else:
            sums = self.digests(array.values.slice(spans.first, spans.count), "item")
            sums = _placed(sums, spans)
        return Words(spans.totals(sums.lane0), spans.totals(sums.lane1), nulls)

    def _entries_of_map(self, array: pa.Array, spans: _Spans) -> Sums:
        entries = array.values.slice(spans.first, spans.count)
        sums = self.digests(entries.field(0), "key")
        sums.add(self.words(entries.field(1)), salts("value", array.type.item_type), null_digest("value"))
        sums.finish(ENTRY)
        return sums


@dataclass(frozen=True, slots=True)
class _Spans:
    """Where the items of each list lie: children `first … first + count`, and the bounds of each row.

    Bounds count items from 0 in the order of rows; `gather` says which child each item is where the two differ.
    """

    first: int
    count: int
    bounds: npt.NDArray[np.int64]
    gather: Positions | None = None

    @property
    def items(self) -> int:
        """How many items all rows have."""
        return int(self.bounds[-1])

    def totals(self, items: Lane) -> Lane:
        """Add up the items of each row: differences of running sums, which wrap just as the sums do."""
        running = np.zeros(len(items) + 1, np.uint64)
        np.cumsum(items, out=running[1:])
        at = running[self.bounds]
        return at[1:] - at[:-1]


def _spans(array: pa.Array, nulls: Positions | None) -> _Spans:
    from pyarrow import types

    rows, kind = len(array), array.type
    if types.is_fixed_size_list(kind):
        size = kind.list_size
        return _Spans(array.offset * size, rows * size, np.arange(rows + 1, dtype=np.int64) * size)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return _view_spans(array, nulls)
    if rows == 0:
        return _Spans(0, 0, np.zeros(1, np.int64))
    width = np.int64 if types.is_large_list(kind) else np.int32
    offsets = np.frombuffer(array.buffers()[1], width)[array.offset : array.offset + rows + 1].astype(np.int64)
    return _Spans(int(offsets[0]), int(offsets[-1] - offsets[0]), offsets - offsets[0])


def _view_spans(array: pa.Array, nulls: Positions | None) -> _Spans:
    from pyarrow import types

    rows = len(array)
    width = np.int64 if types.is_large_list_view(array.type) else np.int32
    buffers = array.buffers()
    within = slice(array.offset, array.offset + rows)
    if rows == 0:
        return _Spans(0, 0, np.zeros(1, np.int64))
    starts = np.frombuffer(buffers[1], width)[within].astype(np.int64)
    sizes = np.frombuffer(buffers[2], width)[within].astype(np.int64)
    if nulls is not None:
        sizes[nulls] = 0
    bounds = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    used = sizes > 0
    if not used.any():
        return _Spans(0, 0, bounds)
    first, last = int(starts[used].min()), int((starts + sizes)[used].max())
    gather = np.arange(bounds[-1], dtype=np.int64) + np.repeat(starts - first - bounds[:-1], sizes)
    return _Spans(first, last - first, bounds, gather)


def _placed(items: Sums, spans: _Spans) -> Sums:
    """Bind every item to its place in its list: `mix(digest + place * GOLDEN)`."""
    places = np.arange(spans.items, dtype=np.int64) - np.repeat(spans.bounds[:-1], np.diff(spans.bounds))
    steps = places.view(np.uint64) * np.uint64(GOLDEN)
    lanes = []
    for lane, digests in enumerate((items.lane0, items.lane1)):
        placed = digests if spans.gather is None else digests[spans.gather]
        np.add(placed, steps, out=placed)
        lanes.append(mix(lane, placed))
    return Sums(*lanes)
