"""Which records, that waited in the rejects, may be older than what the dataset holds of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dataplat.connectors.kafka._positions import SOURCE
from dataplat.lake.content_id import key_digests
from dataplat.lake.scan import ROW_COLUMN, scan
from dataplat.versioning.modes import IncomingKeys, find_keys

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.connectors.codecs import Decoded, Records
    from dataplat.ingest._draft import Draft
    from dataplat.ingest._target import Target
    from dataplat.lake.part import Part
    from dataplat.versioning.manifest import Manifest

_PLACE: Final = ["_partition", "_offset"]
NEWER: Final = "the dataset holds a newer state of its key"
UNKNOWN: Final = (
    "the dataset holds a row of its key, and whether that is newer is not known (it is with --keep partition,offset)"
)
GONE: Final = "its key has no row, and whether it was deleted since is not known"


@dataclass(frozen=True, slots=True)
class Places:
    """What is known of where the rows of a dataset came from.

    `ends` are how far each partition is read, where rows say their place in the one topic that they are of. With `deletes`
    rows may be gone.
    """

    draft: Draft
    manifest: Manifest
    ends: dict[int, int] | None
    deletes: bool

    @classmethod
    def of(cls, draft: Draft, target: Target, *, deletes: bool) -> Places:
        """Return what the rows of `target` say."""
        assert target.manifest is not None
        streams = {source: at for source, at in target.positions().items() if source.startswith(SOURCE)}
        known = set(_PLACE) <= set(target.manifest.schema.names)
        of_one = len({source.rpartition("/")[0] for source in streams}) == 1
        ends = {int(source.rpartition("/")[2]): at["end"] for source, at in streams.items()}
        return cls(draft, target.manifest, ends if known and of_one else None, deletes)


def older(places: Places, records: Records, decoded: Decoded) -> dict[int, str]:
    """Return which records (by index) are not known to be the newest of their keys, and why."""
    found = _of(places, records, decoded.batch, decoded.rows, absent=GONE if places.deletes else None)
    if decoded.deletes is not None and decoded.deleted is not None and len(decoded.deleted):
        found |= _of(places, records, decoded.deletes, decoded.deleted, absent=None)
    return found


def _of(
    places: Places, records: Records, batch: pa.RecordBatch, rows: NDArray[np.int64], *, absent: str | None
) -> dict[int, str]:
    """Return what speaks against records; `absent` is what does where their key has no row."""
    if not len(rows):
        return {}
    import numpy as np
    import pyarrow as pa

    manifest = places.manifest
    names = list(manifest.key)
    _, first, group = np.unique(key_digests(batch, names), axis=0, return_index=True, return_inverse=True)
    keys = IncomingKeys(names)
    keys.add(batch.select(names).take(pa.array(first)), 0)
    state: list[tuple[int | None, int | None] | None] = [None] * len(first)
    for match in find_keys(places.draft.objects, manifest.parts(), manifest.schema, keys):
        order = np.argsort(match.positions)
        found = _places(places, match.part, match.positions[order])
        for number, place in zip(match.incoming[order].tolist(), found, strict=True):
            state[number] = place
    why = {}
    for index, number in zip(rows.tolist(), group.reshape(-1).tolist(), strict=True):
        held = state[number]
        said = absent if held is None else _against(places, records.partition, int(records.offsets[index]), held)
        if said is not None:
            why[index] = said
    return why


def _against(places: Places, partition: int, offset: int, held: tuple[int | None, int | None]) -> str | None:
    """Return what speaks against a record whose key has a row that came from the place `held`."""
    theirs, at = held
    if places.ends is None or theirs != partition or at is None or offset >= places.ends.get(partition, 0):
        return UNKNOWN
    return NEWER if at > offset else None


def _places(places: Places, part: Part, positions: NDArray[np.int64]) -> list[tuple[int | None, int | None]]:
    """Return partition and offset of the rows at some places (ascending) of a part, where rows know them."""
    import numpy as np
    import pyarrow as pa

    if places.ends is None:
        return [(None, None)] * len(positions)
    batches = scan(places.draft.objects, [part], places.manifest.schema, columns=_PLACE, with_positions=True)
    table = pa.Table.from_batches(list(batches))
    taken = table.take(pa.array(np.searchsorted(table.column(ROW_COLUMN).to_numpy(), positions)))
    return list(zip(taken.column("_partition").to_pylist(), taken.column("_offset").to_pylist(), strict=True))
