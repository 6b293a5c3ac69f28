"""JSON: one object a message. Messages are joined by newlines, and read as a file of lines is: many in one call."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataplat.connectors.codecs._codec import NO_VALUE, Decoded, Records, Reject
from dataplat.connectors.codecs._unify import wider
from dataplat.connectors.files._json_rows import what_is_wrong
from dataplat.connectors.files._json_shape import decode_record, schema_of
from dataplat.connectors.files._options import Typing
from dataplat.connectors.files.ndjson import parse_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dataplat.connectors.files._tolerant import Parsed

SNIFFED = 1000
"""Messages whose fields and types are looked at before the first block is read."""

NO_COLUMN: Final = "an empty object, where no column is known yet"


class JsonCodec:
    """Decodes one JSON object a message; fields and types are guessed as those of a file of lines are.

    Columns of `schema` are read as it says. A column keeps its kind: what does not fit it is a reject.
    """

    def __init__(self, schema: pa.Schema | None = None) -> None:
        self._wanted = schema
        self._different: list[int] = []

    def decode(self, records: Records, like: pa.Schema | None) -> Decoded:
        """Return the rows; see `Codec`."""
        rows, rejects = _present(records)
        text = _Lines.of(records, rows, rejects)
        typing = self._typing(text, like)
        while True:
            parsed = parse_lines(text.data, typing, records.topic, self._different) if len(text.rows) else None
            if parsed is None or parsed.widened is None:
                break
            typing = _settled(typing, parsed.widened.schema, like if self._wanted is None else self._wanted)
        return _with_a_column(text.decoded(parsed, typing.schema), like)

    def _typing(self, text: _Lines, like: pa.Schema | None) -> Typing:
        """Return the types to begin with: those so far of the columns that the messages have, else guessed ones."""
        if self._wanted is not None:
            return Typing(self._wanted, frozenset(self._wanted.names))
        first = next(text.objects(1), None) if like is not None else None
        if like is not None and first is not None and first.keys() <= set(like.names):
            return Typing(pa.schema([like.field(name) for name in like.names if name in first]))
        found = schema_of(text.objects(SNIFFED))
        return Typing(found) if like is None else _settled(Typing(found), found, like)


def _with_a_column(decoded: Decoded, like: pa.Schema | None) -> Decoded:
    """Return rows of empty objects with a column of nulls, since a row without columns is none; else what it was."""
    if decoded.batch.schema.names or not len(decoded.rows):
        return decoded
    if like is not None and like.names:
        nulls = pa.nulls(len(decoded.rows), like.field(0).type)
        batch = pa.RecordBatch.from_arrays([nulls], names=[like.field(0).name])
        return replace(decoded, batch=batch)
    rejects = [*decoded.rejects, *(Reject(int(i), NO_COLUMN) for i in decoded.rows)]
    return replace(decoded, rows=decoded.rows[:0], rejects=sorted(rejects, key=lambda reject: reject.index))


def _settled(typing: Typing, asked: pa.Schema, like: pa.Schema | None) -> Typing:
    """Return the types that are asked for, where each column keeps the kind that it has in `like`."""
    fields, fixed = [], set(typing.fixed)
    for field in asked:
        index = -1 if like is None else like.get_field_index(field.name)
        if like is None or index < 0:
            fields.append(field)
            continue
        kind = wider(like.field(index).type, field.type)
        if kind is None:
            fixed.add(field.name)
            kind = like.field(index).type
        fields.append(pa.field(field.name, kind))
    return Typing(pa.schema(fields), frozenset(fixed))


def _present(records: Records) -> tuple[NDArray[np.int64], list[Reject]]:
    """Return which records have a value, and rejects for the others."""
    if not records.values.null_count:
        return np.arange(len(records), dtype=np.int64), []
    missing = records.values.is_null().to_numpy(zero_copy_only=False)
    return np.flatnonzero(~missing), [Reject(int(i), NO_VALUE) for i in np.flatnonzero(missing)]


class _Lines:
    """Values as lines of one text: line i is record `rows[i]`. What cannot be a line is a reject already."""

    def __init__(
        self, data: NDArray[np.uint8], values: pa.BinaryArray, rows: NDArray[np.int64], rejects: list[Reject]
    ) -> None:
        self.data = data
        self.values = values
        self.rows = rows
        self.rejects = rejects

    @classmethod
    def of(cls, records: Records, rows: NDArray[np.int64], rejects: list[Reject]) -> _Lines:
        """Return the values of the records `rows`, each on a line of its own."""
        values = records.values.drop_null()
        broken = pc.match_substring(values, "\n").to_numpy(zero_copy_only=False)
        blank = pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
        odd = broken | blank | _spaces(values)
        if odd.any():
            values, rows, rejects = _unbroken(values, rows, rejects, np.flatnonzero(odd))
        joined = pc.binary_join_element_wise(values, b"", b"\n") if len(values) else values
        return cls(_bytes(joined), values, rows, rejects)

    def objects(self, limit: int) -> Iterator[dict[str, object]]:
        """Yield the first objects among the values, as far as they can be read."""
        for value in islice(self.values, limit):
            try:
                yield decode_record(value.as_py())
            except (ValueError, RecursionError):
                continue

    def decoded(self, parsed: Parsed | None, schema: pa.Schema) -> Decoded:
        """Return what the lines were."""
        if parsed is None:
            return Decoded(pa.RecordBatch.from_pylist([], schema=schema), self.rows[:0], self.rejects)
        rejects, rows = list(self.rejects), self.rows
        if parsed.rejects is not None:
            lines = parsed.rejects.batch.column("row").to_numpy().astype(np.int64) - 1
            errors = parsed.rejects.batch.select(["column", "error"]).to_pylist()
            rejects += [
                Reject(int(rows[line]), row["error"], row["column"]) for line, row in zip(lines, errors, strict=True)
            ]
            rows = np.delete(rows, lines)
        whole = pa.Table.from_batches(parsed.batches, schema=schema).combine_chunks().to_batches()
        batch = whole[0] if whole else pa.RecordBatch.from_pylist([], schema=schema)
        return Decoded(batch, rows, sorted(rejects, key=lambda reject: reject.index))


def _spaces(values: pa.BinaryArray) -> NDArray[np.bool_]:
    """Return which short values hold nothing but blanks, which no reader of lines takes for one."""
    found = np.zeros(len(values), dtype=np.bool_)
    short = np.flatnonzero(pc.less(pc.binary_length(values), 8).to_numpy(zero_copy_only=False))
    for i in short.tolist():
        found[i] = not values[i].as_py().strip()
    return found


def _unbroken(
    values: pa.BinaryArray, rows: NDArray[np.int64], rejects: list[Reject], odd: NDArray[np.int64]
) -> tuple[pa.BinaryArray, NDArray[np.int64], list[Reject]]:
    """Return the values with line breaks between tokens made blanks; what is no object is a reject."""
    texts = values.to_pylist()
    bad = []
    for i in odd.tolist():
        try:
            decode_record(texts[i])  # a break within a string is refused here: what is left stands between tokens
            texts[i] = texts[i].replace(b"\n", b" ")
        except (ValueError, RecursionError) as error:
            rejects.append(Reject(int(rows[i]), what_is_wrong(error)))
            bad.append(i)
    kept = np.delete(np.arange(len(texts)), bad)
    return pa.array([texts[i] for i in kept.tolist()], pa.binary()), rows[kept], rejects


def _bytes(joined: pa.BinaryArray) -> NDArray[np.uint8]:
    """Return the bytes that an array's values take, one after another."""
    if not len(joined):
        return np.empty(0, dtype=np.uint8)
    _, offsets, data = joined.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[joined.offset : joined.offset + len(joined) + 1]
    return np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]]
