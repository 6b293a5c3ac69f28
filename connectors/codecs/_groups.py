"""Records of several kinds, each decoded by a codec of its own; and blocks in which some record is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dataplat.connectors.codecs._codec import NO_VALUE, Codec, Decoded, Records, Reject
from dataplat.connectors.codecs._unify import Apart, fit, fitted, together

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKED = 2_560
"""Messages that are looked at one by one, rather than tried together again in smaller parts."""
ALONE = 32
"""Messages that are decoded one by one, where each looks sound and together they are not."""
_FAN = 8
"""Into how many parts a block is taken apart that does not decode."""


@dataclass(frozen=True, slots=True)
class Group:
    """Records (by `index`) that one codec decodes, from byte `skip` of their values on; `codec` may say why none does.

    `name` says to people what they have in common, "" where nothing need be said.
    """

    name: str
    index: NDArray[np.int64]
    codec: Codec | str
    skip: int = 0
    schema_id: int | None = None

    def said(self, error: str) -> str:
        """Return an error as one of this group."""
        return f"{self.name}: {error}" if self.name else error


def decode_groups(
    records: Records, groups: Iterable[Group], like: pa.Schema | None, ids: NDArray[np.int64] | None = None
) -> Decoded:
    """Return the rows of all groups under one schema, in the order of their records.

    A group whose columns do not go together with `like`, or with those of an earlier group, becomes rejects.
    """
    rejects: list[Reject] = []
    found: list[Decoded] = []
    for group in groups:
        decoded = _decoded(records, group, like)
        rejects += decoded.rejects
        if len(decoded.rows):
            found.append(replace(decoded, rejects=(), schema_ids=ids))
            like = decoded.batch.schema if like is None else together(like, decoded.batch.schema)
    whole = _in_order(found)
    rejects = sorted([*rejects, *whole.rejects], key=lambda reject: reject.index)
    return replace(whole, rejects=rejects, schema_ids=ids)


def decode_others(records: Records, rejects: list[Reject], codec: Codec, like: pa.Schema | None) -> Decoded:
    """Return what a codec makes of the records that are no rejects already."""
    if not rejects:
        return codec.decode(records, like)
    index = np.setdiff1d(np.arange(len(records)), [reject.index for reject in rejects])
    decoded = decode_groups(records, [Group("", index, codec)], like)
    return replace(decoded, rejects=sorted([*decoded.rejects, *rejects], key=lambda reject: reject.index))


def _decoded(records: Records, group: Group, like: pa.Schema | None) -> Decoded:
    if isinstance(group.codec, str):
        return _all_rejected(group, group.codec)
    found = group.codec.decode(_bodies(records, group), like)
    if like is not None:
        try:
            together(like, found.batch.schema)
        except Apart as apart:
            return _all_rejected(group, str(apart), apart.column)
    rejects = [
        replace(
            reject,
            index=int(group.index[reject.index]),
            error=group.said(reject.error),
            schema_id=group.schema_id,
        )
        for reject in found.rejects
    ]
    return Decoded(found.batch, group.index[found.rows], rejects)


def _all_rejected(group: Group, error: str, column: str | None = None) -> Decoded:
    rejects = [Reject(i, group.said(error), column, group.schema_id) for i in group.index.tolist()]
    return Decoded(nothing(), group.index[:0], rejects)


def _bodies(records: Records, group: Group) -> Records:
    values = records.values
    if len(group.index) < len(records):
        values = values.take(pa.array(group.index))
    return replace(
        records,
        offsets=records.offsets[group.index],
        timestamps=records.timestamps[group.index],
        keys=pa.nulls(len(group.index), pa.binary()),
        values=without_head(values, group.skip) if group.skip else values,
        headers=None,
    )


def without_head(values: pa.BinaryArray, skip: int) -> pa.BinaryArray:
    """Return values, none of them null or shorter, without their first bytes (Arrow's `binary_slice` fails on some)."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    kept = np.ones(bounds[-1] - bounds[0], dtype=np.bool_)
    starts = bounds - bounds[0]
    for i in range(skip):
        kept[starts[:-1] + i] = False
    rest = np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]][kept]
    places = starts - skip * np.arange(len(values) + 1, dtype=np.int32)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(places.astype(np.int32)), pa.py_buffer(rest)]
    )


def _in_order(groups: Sequence[Decoded]) -> Decoded:
    if not groups:
        return Decoded(nothing(), np.empty(0, dtype=np.int64))
    if len(groups) == 1:
        return groups[0]
    schema = groups[0].batch.schema
    for group in groups[1:]:
        schema = together(schema, group.batch.schema)
    groups = [fit(group, schema) for group in groups]
    rows = np.concatenate([group.rows for group in groups])
    order = np.argsort(rows, kind="stable")
    table = pa.Table.from_batches([fitted(group.batch, schema) for group in groups]).combine_chunks()
    batch = as_batch(table.take(pa.array(order)))
    return Decoded(batch, rows[order], [reject for group in groups for reject in group.rejects])


def decode_blocks(
    records: Records,
    schema: pa.Schema,
    together: Callable[[pa.BinaryArray], pa.RecordBatch | None],
    one: Callable[[bytes], pa.RecordBatch | Reject],
    wrong: Callable[[bytes], Reject | None] = lambda _: None,
) -> Decoded:
    """Return rows (of `schema`) of values that are decoded together, or in parts where some of them are none.

    `together` gives None where it cannot read all; then those are left out that `wrong`, a look without decoding, rejects;
    at last `one` gives the row of a value, or a reject of it. The index of their rejects does not count.
    """
    rows = np.flatnonzero(records.values.is_valid().to_numpy(zero_copy_only=False))
    missing = np.setdiff1d(np.arange(len(records)), rows)
    rejects = [Reject(int(i), NO_VALUE) for i in missing]
    batches: list[pa.RecordBatch] = []

    def try_all(values: pa.BinaryArray, rows: NDArray[np.int64], *, checked: bool = False) -> None:
        batch = together(values) if len(values) else None
        if batch is not None:
            batches.append(batch)
        elif len(values) <= CHECKED and not checked:
            found = [wrong(value) for value in values.to_pylist()]
            sound = np.array([reject is None for reject in found], dtype=np.bool_)
            rejects.extend(
                replace(reject, index=row)
                for reject, row in zip(found, rows.tolist(), strict=True)
                if reject is not None
            )
            try_all(values.filter(pa.array(sound)), rows[sound], checked=True)
        elif len(values) > ALONE:
            size = -(-len(values) // _FAN)
            for start in range(0, len(values), size):
                try_all(values.slice(start, size), rows[start : start + size], checked=checked)
        else:
            try_each(values, rows)

    def try_each(values: pa.BinaryArray, rows: NDArray[np.int64]) -> None:
        for value, row in zip(values.to_pylist(), rows.tolist(), strict=True):
            found = one(value)
            if isinstance(found, Reject):
                rejects.append(replace(found, index=row))
            else:
                batches.append(found)

    try_all(records.values.drop_null() if len(missing) else records.values, rows)
    if rejects:
        rows = np.setdiff1d(rows, [reject.index for reject in rejects])
    batch = as_batch(pa.Table.from_batches(batches, schema))
    return Decoded(batch, rows, sorted(rejects, key=lambda reject: reject.index))


def as_batch(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def nothing() -> pa.RecordBatch:
    """Return a batch of no columns and no rows."""
    return pa.RecordBatch.from_pylist([], schema=pa.schema([]))
