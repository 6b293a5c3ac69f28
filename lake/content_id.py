"""Row digests and the content id: equal rows give an equal id, whatever the order, files, engine or encoding.

    row = mix(C + Σ mix(word(value) ^ salt(family, name)))      over the non-null fields, per lane
    dataset = Σ row mod 2**64                                    per lane
    content id = SHA-256(format, rows, both lanes, sorted (name, family))

`docs/content-id.md` is the definition, `tests/lake/vectors/` holds it for ever. The work is done by numpy on blocks
of Arrow buffers, without a copy where the layout allows and without the interpreter's lock; strings are hashed by
the polars-hash plugin. Sums are additive, so parts, threads and machines add up.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from dataplat.errors import SchemaError
from dataplat.lake._hashing import FORMAT, MASK, ROW, Sums
from dataplat.lake._hashing_arrays import Bare, salts
from dataplat.lake.canonical import family_tree
from dataplat.lake.digest import Digest

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK: Final = 65_536  # rows whose words are laid bare at once


def load_hashing() -> None:
    """Begin to load what strings are hashed with, in a thread: it takes as long as to parse the first blocks."""
    if "polars_hash" not in sys.modules:
        Thread(target=import_module, args=("polars_hash",), name="dataplat-load-hashing").start()


def row_digests(batch: pa.RecordBatch, schema: pa.Schema | None = None) -> npt.NDArray[np.uint64]:
    """Return the digest of every row.

    Args:
        batch: A record batch (or table) with any types that have a family.
        schema: If given, only the columns that it names count; types do not matter, a name that is missing in the
            batch is a column of nulls, which adds nothing.

    Returns:
        An array of shape (rows, 2), uint64, one column per lane. It is laid out by column (Fortran order), so that
        `digests[:, 0]` and `digests[:, 1]` are contiguous.

    Raises:
        SchemaError: A column's type has no canonical values.
    """
    return _digests(batch, batch.schema.names if schema is None else schema.names)


def key_digests(batch: pa.RecordBatch, columns: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the digest of every row's key: as `row_digests`, over these columns alone.

    Keys are equal exactly when their digests are; 128 bits make a false match unthinkable, one lane does not.

    Raises:
        SchemaError: A key column is missing.
    """
    _check_key(batch, columns)
    return _digests(batch, columns)


def column_words(batch: pa.RecordBatch, column: str) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield the words of one column, piece by piece: of equal values they are equal; at a null they mean nothing.

    They are what digests are mixed from, and often the Arrow buffer itself: a filter at a tenth of the price.
    """
    import pyarrow as pa

    _check_key(batch, [column])
    array = batch.column(column)
    bare = Bare()
    for piece in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
        yield bare.words(piece).lane0


def digest(batches: Iterable[pa.RecordBatch], schema: pa.Schema | None = None) -> Digest:
    """Return the sum of the row digests of all batches, in memory bounded by one batch.

    Args:
        batches: Record batches (or tables), of one schema or of several.
        schema: As for `row_digests`.
    """
    total = Digest()
    for batch in batches:
        names = batch.schema.names if schema is None else schema.names
        for sums in _chunks(batch, names):
            total += _total(sums)
    return total


def digest_of(digests: npt.NDArray[np.uint64]) -> Digest:
    """Return the sum of row digests that are there already, an array as `row_digests` gives it."""
    return _total(Sums(digests[:, 0], digests[:, 1]))


def content_id(digest: Digest, schema: pa.Schema) -> str:
    """Return the content id: SHA-256, in hexadecimal, of the canonical text of row count, lanes and fields.

    Raises:
        SchemaError: Two columns share a name, or a type has no canonical values.
    """
    return hashlib.sha256(_canonical_text(digest, schema).encode()).hexdigest()


def _canonical_text(digest: Digest, schema: pa.Schema) -> str:
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise SchemaError(f"two columns are named {twice!r}; rename one")
    lines = [
        f"dataplat content id {FORMAT}",
        f"rows {digest.rows}",
        f"lanes {digest.lane0:016x} {digest.lane1:016x}",
    ]
    fields = sorted(schema, key=lambda field: field.name.encode())
    lines += [f"{json.dumps(field.name, ensure_ascii=False)} {family_tree(field.type)}" for field in fields]
    return "".join(f"{line}\n" for line in lines)


def _check_key(batch: pa.RecordBatch, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in batch.schema.names]
    if missing:
        raise SchemaError(f"key column {missing[0]!r} is missing; the columns are {', '.join(batch.schema.names)}")


def _digests(batch: pa.RecordBatch, names: Sequence[str]) -> npt.NDArray[np.uint64]:
    lanes = np.zeros((2, batch.num_rows), np.uint64)
    for _ in _chunks(batch, names, Sums(lanes[0], lanes[1])):
        pass
    return lanes.T


def _total(sums: Sums) -> Digest:
    lane0, lane1 = int(np.add.reduce(sums.lane0)), int(np.add.reduce(sums.lane1))
    return Digest(len(sums.lane0), lane0 & MASK, lane1 & MASK)


def _chunks(batch: pa.RecordBatch, names: Sequence[str], into: Sums | None = None) -> Iterator[Sums]:
    """Yield the row digests, chunk by chunk: in `into`, zeros of as many rows, or in arrays that hold the next chunk later."""
    import pyarrow as pa

    if isinstance(batch, pa.Table):
        done = 0
        for part in batch.to_batches():
            yield from _chunks(part, names, None if into is None else into.rows(done, done + len(part)))
            done += len(part)
        return
    wanted = set(names)
    bare = Bare()
    columns = [
        (batch.column(index), salts("field", field.type, field.name))
        for index, field in enumerate(batch.schema)
        if field.name in wanted
    ]
    again = Sums.zeros(min(_CHUNK, batch.num_rows) if into is None else 0)
    for start in range(0, batch.num_rows, _CHUNK):
        rows = min(_CHUNK, batch.num_rows - start)
        if into is None:
            again.clear()  # memory that is new to the process costs as much as the hashing of a column
            sums = again.rows(0, rows)
        else:
            sums = into.rows(start, start + rows)
        for column, column_salts in columns:
            part = column.slice(start, rows)
            if part.null_count < rows:  # a column of nulls adds nothing
                sums.add(bare.words(part), column_salts)
        sums.finish(ROW)
        yield sums


__all__ = ["column_words", "content_id", "digest", "digest_of", "key_digests", "row_digests"]
