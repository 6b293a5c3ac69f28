"""Tiles as bytes, and back: one Arrow batch, a row for each tile. Equal tiles are equal bytes, whatever they were made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat.errors import LakeFormatError
from dataplat.feature_store.kernel.bags import Bag
from dataplat.feature_store.kernel.exact import Sums
from dataplat.feature_store.kernel.tiles import Moments, Tiles

if TYPE_CHECKING:
    import pyarrow as pa

_FORMAT = 1


def to_bytes(kept: Tiles) -> bytes:
    """Return tiles as an Arrow IPC stream."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {
        name: pa.array(values)
        for name, values in (("low", kept.low), ("high", kept.high), ("tile", kept.tile), ("count", kept.count))
    }
    about: dict[str, Any] = {"format": _FORMAT, "width": kept.width, "moments": {}, "bags": {}}
    for name, each in kept.moments.items():
        columns[f"valid {name}"] = pa.array(each.valid)
        told = about["moments"][name] = {"total": _sums(columns, f"total {name}", each.total)}
        if each.squares is not None:
            told["squares"] = _sums(columns, f"squares {name}", each.squares)
    for name, kept_values in kept.bags.items():
        offsets = pa.array(np.searchsorted(kept_values.place, np.arange(len(kept) + 1)).astype(np.int32))
        columns[f"values {name}"] = pa.ListArray.from_arrays(offsets, kept_values.values)
        columns[f"times {name}"] = pa.ListArray.from_arrays(offsets, pa.array(kept_values.times))
        about["bags"][name] = kept_values.whole
    kinds = pa.schema([(name, each.kind) for name, each in kept.moments.items()])
    batch = pa.record_batch(list(columns.values()), list(columns))
    batch = batch.replace_schema_metadata({"tiles": json.dumps(about), "kinds": kinds.serialize().to_pybytes()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def from_bytes(data: bytes) -> Tiles:
    """Return the tiles of `to_bytes`; raise `LakeFormatError` where they are of another format, or none."""
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        about = json.loads(batch.schema.metadata[b"tiles"])
        kinds = pa.ipc.read_schema(pa.py_buffer(batch.schema.metadata[b"kinds"]))
    except (pa.ArrowInvalid, StopIteration, KeyError, TypeError, ValueError) as error:
        raise LakeFormatError(f"these bytes are no tiles: {error}") from error
    if about["format"] != _FORMAT:
        raise LakeFormatError(f"tiles of format {about['format']} are not known here: make them anew")
    moments = {
        name: Moments(
            kinds.field(name).type,
            _ints(batch, f"valid {name}"),
            _sums_of(batch, f"total {name}", told["total"]),
            _sums_of(batch, f"squares {name}", told["squares"]) if "squares" in told else None,
        )
        for name, told in about["moments"].items()
    }
    bags: dict[str, Bag] = {}
    for name, whole in about["bags"].items():
        lists = batch.column(f"values {name}")
        place = np.repeat(np.arange(len(lists)), np.asarray(lists.value_lengths()))
        times = np.asarray(batch.column(f"times {name}").flatten())
        bags[name] = Bag(place, lists.flatten(), times, whole)
    low, high = _ints(batch, "low"), _ints(batch, "high")
    return Tiles(about["width"], low, high, _ints(batch, "tile"), _ints(batch, "count"), moments, bags)


def _ints(batch: pa.RecordBatch, name: str) -> Any:
    return np.asarray(batch.column(name))


def _sums(columns: dict[str, pa.Array], name: str, sums: Sums) -> list[int]:
    """Add the limbs of sums as columns, and return what they are: (first, how many, how many of wild values)."""
    import pyarrow as pa

    rows = list(sums.limbs) + ([] if sums.wild is None else list(sums.wild))
    for place, row in enumerate(rows):
        columns[f"{name} {place}"] = pa.array(np.ascontiguousarray(row))
    return [sums.first, len(sums.limbs), len(rows) - len(sums.limbs)]


def _sums_of(batch: pa.RecordBatch, name: str, told: list[int]) -> Sums:
    first, height, more = told
    rows = np.stack([_ints(batch, f"{name} {place}") for place in range(height + more)])
    return Sums(first, rows[:height], rows[height:] if more else None)
