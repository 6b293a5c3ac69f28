"""JSON lines that are all laid out alike, as programs write them, read in whole columns.

Where every line of a block has the same keys in the same order and no value is nested, the places of all values follow
from the places of the `":` behind the keys. They are found with numpy, checked byte for byte (each key and comma of each
line, the first bytes of each value, the number of quotes), and the values are gathered and parsed by Arrow. That is about
half the work of a JSON parser. Whatever is different in any line makes `read_alike` return None: a parser decides then.
(One thing is taken that JSON does not allow: `1.e5`, a point with no digit before an exponent.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.files import _types as t
from dataplat.connectors.files._json_shape import decode_record
from dataplat.connectors.files._records import NEWLINE, QUOTE, Bytes8, Positions

_WINDOW = 1 << 18
"""Bytes looked at in one go: what is computed on the way stays in the second-level cache."""
_COLON, _BACKSLASH, _CLOSE, _MINUS, _ZERO = b":\\}-0"
_SPACE, _SMALL_N, _SMALL_X = b" nx"

Mask = npt.NDArray[np.bool_]


class _Different(Exception):
    """A line is not laid out like the first one."""


def read_alike(data: Bytes8, schema: pa.Schema) -> pa.RecordBatch | None:
    """Return the rows of whole lines, or None where they are not all laid out like the first one.

    Types are those of `schema`; the text must be UTF-8 (not looked at here).
    """
    if not schema.names or not all(_is_plain(kind) for kind in schema.types) or not len(data):
        return None
    if data[-1] != NEWLINE:
        data = np.append(data, np.uint8(NEWLINE))
    try:
        marks = _Marks.of(data)
        layout = _Layout.of(data[: marks.lines[0]].tobytes(), schema)
        spans = _Spans.of(data, marks, layout)
        return spans.batch(schema)
    except (_Different, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _is_plain(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return number or pa.types.is_boolean(kind) or pa.types.is_null(kind) or _is_quoted(kind)


def _is_quoted(kind: pa.DataType) -> bool:
    quoted: bool = pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_string(kind)
    return quoted


def _require(*conditions: object) -> None:
    if not all(conditions):
        raise _Different


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where newlines, the `":` behind keys and backslashes are; how many quotes there are that mean something."""

    lines: Positions
    colons: Positions
    quotes: int
    backslashes: Positions

    @classmethod
    def of(cls, data: Bytes8) -> _Marks:
        colons, lines, backslashes = [], [], []
        quotes = controls = 0
        for begin in range(0, len(data), _WINDOW):
            window = data[begin : begin + _WINDOW + 1]
            own = window[:_WINDOW]
            quote = own == QUOTE
            quotes += int(np.count_nonzero(quote))
            controls += int(np.count_nonzero(own < _SPACE))
            lines.append(np.flatnonzero(own == NEWLINE) + begin)
            backslash = own == _BACKSLASH
            if backslash.any():
                backslashes.append(np.flatnonzero(backslash) + begin)
            pair = quote[: len(window) - 1]
            pair &= window[1:] == _COLON
            colons.append(np.flatnonzero(pair) + begin)
        marks = cls(_joined(lines), _joined(colons), quotes, _joined(backslashes))
        _require(controls == len(marks.lines))  # any other control character may not stand in a string
        return marks._without_escaped(data) if len(marks.backslashes) else marks

    def _without_escaped(self, data: Bytes8) -> _Marks:
        """Leave out the quotes that a backslash takes their meaning."""
        at = self.backslashes
        gap = np.diff(at, prepend=-2) != 1
        run_start = np.maximum.accumulate(np.where(gap, np.arange(len(at)), 0))
        escapes = at[(np.arange(len(at)) - run_start) % 2 == 0]  # the first, third, … of a run
        escaped = escapes + 1
        escaped = escaped[data[escaped] == QUOTE]
        colons = self.colons[~np.isin(self.colons, escaped)]
        return _Marks(self.lines, colons, self.quotes - len(escaped), at)


def _joined(pieces: list[Positions]) -> Positions:
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The keys in the order of the lines, what stands before the quote behind each, and the blanks before values."""

    names: tuple[str, ...]
    kinds: tuple[pa.DataType, ...]
    separators: tuple[bytes, ...]
    gap: int

    @classmethod
    def of(cls, line: bytes, schema: pa.Schema) -> _Layout:
        try:
            names = tuple(decode_record(line))
        except (ValueError, RecursionError):
            raise _Different from None
        _require(set(names) == set(schema.names), len(names) == len(schema.names))
        _require(all(json.dumps(name, ensure_ascii=False)[1:-1] == name for name in names))
        keys = [name.encode() for name in names]
        first = b'{"' + keys[0]
        gap = int(line[len(first) + 2 : len(first) + 3] == b" ")
        comma = b', "' if len(keys) > 1 and b', "' + keys[1] + b'":' in line else b',"'
        separators = (first, *(comma + key for key in keys[1:]))
        return cls(names, tuple(schema.field(name).type for name in names), separators, gap)


@dataclass(frozen=True, slots=True)
class _Spans:
    """The values of a block: `starts` and `ends` (bytes) by column and line, without quotes; `valid` where not null."""

    data: Bytes8
    layout: _Layout
    starts: list[Positions]
    ends: list[Positions]
    valid: list[Mask | None]
    backslashes: Positions

    @classmethod
    def of(cls, data: Bytes8, marks: _Marks, layout: _Layout) -> _Spans:
        width, lines = len(layout.names), len(marks.lines)
        _require(len(marks.colons) == width * lines)
        keys = np.ascontiguousarray(marks.colons.reshape(lines, width).T)
        begins = [at - len(text) for at, text in zip(keys, layout.separators, strict=True)]
        _require(begins[0][0] == 0, (begins[0][1:] == marks.lines[:-1] + 1).all())
        last = marks.lines - 1
        _require((data[last] == _CLOSE).all())
        for begin, text in zip(begins, layout.separators, strict=True):
            _require(_reads(data, begin, text))
        spans = cls(data, layout, [], [], [], marks.backslashes)
        quoted = 0
        for at, end, kind in zip(keys, [*begins[1:], last], layout.kinds, strict=True):
            start = at + 2 + layout.gap
            _require((start < end).all(), not layout.gap or (data[at + 2] == _SPACE).all())
            quoted += spans._take(start, end, quoted=_is_quoted(kind))
        _require(marks.quotes == 2 * (width * lines + quoted))
        return spans

    def _take(self, start: Positions, end: Positions, *, quoted: bool) -> int:
        """Check and add a column; return how many of its values stand in quotes."""
        data = self.data
        first = data[start]
        null = first == _SMALL_N
        some_null = bool(null.any())
        if some_null:
            _require((end[null] - start[null] == 4).all(), _reads(data, start[null], b"null"))
        self.valid.append(~null if some_null else None)
        if not quoted:
            self.starts.append(start)
            self.ends.append(end)
            return 0
        in_quotes = (first == QUOTE) & (data[end - 1] == QUOTE) & (end - start >= 2)
        _require((in_quotes | null).all())
        self.starts.append(start + in_quotes)
        self.ends.append(end - in_quotes)
        return int(np.count_nonzero(in_quotes))

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Gather and parse the columns."""
        texts = self._texts()
        columns = {
            name: self._parsed(i, text, kind)
            for i, (name, kind, text) in enumerate(zip(self.layout.names, self.layout.kinds, texts, strict=True))
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)

    def _texts(self) -> Iterator[pa.Array]:
        """Yield each column's texts: every second element of an array whose offsets are all starts and ends."""
        width, lines = len(self.starts), len(self.starts[0])
        bounds = np.empty((lines, width, 2), dtype=np.int32)
        for i, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            bounds[:, i, 0], bounds[:, i, 1] = start, end
        everything = pa.Array.from_buffers(
            pa.string(), bounds.size - 1, [None, pa.py_buffer(bounds), pa.py_buffer(self.data)]
        )
        places = np.arange(0, bounds.size, 2 * width, dtype=np.int32)
        for i, valid in enumerate(self.valid):
            bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
            indices = pa.Array.from_buffers(pa.int32(), lines, [bits, pa.py_buffer(places + 2 * i)])
            yield pc.take(everything, indices, boundscheck=False)

    def _parsed(self, i: int, texts: pa.Array, kind: pa.DataType) -> pa.Array:
        if _is_quoted(kind):
            texts = self._unescaped(i, texts) if len(self.backslashes) else texts
            return texts if pa.types.is_string(kind) else pc.cast(texts, kind)
        if pa.types.is_null(kind):
            _require(texts.null_count == len(texts))
            return pa.nulls(len(texts))
        if pa.types.is_boolean(kind):
            true, false = pc.equal(texts, "true"), pc.equal(texts, "false")
            _require(pc.all(pc.or_(true, false), min_count=0).as_py())
            return true
        self._require_number(i)
        if kind.equals(t.DECIMAL):  # inferred from integers; a fraction or an exponent widens it
            _require(not pc.any(t.matches(texts, r"[.eE]"), min_count=0).as_py())
        return pc.cast(texts, kind)

    def _require_number(self, i: int) -> None:
        """Require what JSON asks of a number and Arrow does not: no plus, no leading zero, no word, no hexadecimal."""
        data, start, valid = self.data, self.starts[i], self.valid[i]
        first, second = data[start], data[start + 1]
        digit = _is_digit(first)
        negative = (first == _MINUS) & _is_digit(second)
        fine = digit | negative if valid is None else digit | negative | ~valid
        _require(fine.all())
        _require(not ((first == _ZERO) & (_is_digit(second) | (second | 32 == _SMALL_X))).any())
        led = start[negative & (second == _ZERO)] + 2
        _require(not (_is_digit(data[led]) | (data[led] | 32 == _SMALL_X)).any())
        _require(_is_digit(data[self.ends[i] - 1][slice(None) if valid is None else valid]).all())

    def _unescaped(self, i: int, texts: pa.Array) -> pa.Array:
        """Replace the texts that hold backslashes by what they stand for."""
        start, end = self.starts[i], self.ends[i]
        has = np.searchsorted(self.backslashes, start) < np.searchsorted(self.backslashes, end)
        if not has.any():
            return texts
        view = self.data.data
        raw = [bytes(view[a:b]) for a, b in zip(start[has].tolist(), end[has].tolist(), strict=True)]
        try:
            found = pa.array(json.loads(b'["' + b'","'.join(raw) + b'"]'), pa.string())
        except (ValueError, UnicodeEncodeError):
            raise _Different from None
        _require(len(found) == len(raw))
        bits = pa.py_buffer(np.packbits(has, bitorder="little"))
        return pc.replace_with_mask(texts, pa.Array.from_buffers(pa.bool_(), len(has), [None, bits]), found)


def _is_digit(values: Bytes8) -> Mask:
    found: Mask = values - np.uint8(_ZERO) < 10  # smaller bytes wrap around to large ones
    return found


def _reads(data: Bytes8, at: Positions, text: bytes) -> bool:
    """Return whether `text` stands at each position (ascending), eight bytes at a time."""
    if len(at) and int(at[-1]) + 8 > len(data):
        return all(bool((data[at + i] == byte).all()) for i, byte in enumerate(text))
    words = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data.data, strides=(1,))
    if len(text) < 8:
        mask = np.uint64((1 << 8 * len(text)) - 1)
        return bool((words[at] & mask == int.from_bytes(text, "little")).all())
    offsets = [*range(0, len(text) - 7, 8), *([len(text) - 8] if len(text) % 8 else [])]
    return all(bool((words[at + i] == int.from_bytes(text[i : i + 8], "little")).all()) for i in offsets)
