"""Erasing in simulated histories: the real protocol, over parts that are pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap

from dataplat.errors import CommitConflict, DatasetNotFound, ObjectNotFound
from dataplat.lake._damage import missing
from dataplat.lake.deletes import remap
from dataplat.lake.objects import Objects
from dataplat.lake.schema import stored_as, stored_name
from dataplat.testing._history_rows import JsonCodec, Row, read_deletes, read_part, stage_part
from dataplat.versioning import publish
from dataplat.versioning.erase import Request, erase
from dataplat.versioning.erase._condition import Condition
from dataplat.versioning.erase._rewrite import Rewriter
from dataplat.versioning.gc.collect import Options, collect
from dataplat.versioning.refs import Refs
from dataplat.versioning.suppression import Suppression

if TYPE_CHECKING:
    from dataplat.lake.part import Part
    from dataplat.lake.stores import Store
    from dataplat.testing._history_plans import Operation
    from dataplat.testing.simulator import Simulator
    from dataplat.versioning.segments import Overlay

_MANY = 256
"""Keys below are asked for at once."""


def condition_of(operation: Operation) -> str:
    """Return the condition of an erase: keys that are a multiple, or one key."""
    return f"key % {operation.modulus} = 0" if operation.modulus else f"key = {operation.stop}"


def erases(text: str) -> Callable[[int], bool]:
    """Return whether a key meets such a condition."""
    number = int(text.split()[2])
    return (lambda key: key % number == 0) if "%" in text else (lambda key: key == number)


def request_of(operation: Operation) -> Request:
    """Return what to ask of `erase`; the commits that it makes carry the operation as their message."""
    return Request(operation.dataset, condition_of(operation), operation.text, rejects=False)


def erase_all(store: Store, simulator: Simulator, operations: Iterable[Operation]) -> None:
    """Bring all erases that were begun to their end, alone and undisturbed."""
    refs = Refs(store, lambda: simulator.now, actor="eraser")
    for operation in operations:
        with suppress(DatasetNotFound):
            try:
                erase(publish.LakeIO(Objects(store), refs), request_of(operation))
            except CommitConflict:  # a collection whose writer died holds what comes: another takes it over
                collect(Objects(store), refs, Options(grace=0))
                erase(publish.LakeIO(Objects(store), refs), request_of(operation))


def _rows(objects: Objects, part: Part) -> Sequence[Row]:
    try:
        return read_part(objects.read, part)
    except ObjectNotFound as error:
        raise missing(part) from error


def _positions(self: Condition, objects: Objects, part: Part, _views: object) -> BitMap:
    matches = erases(self.text)
    return BitMap(at for at, (key, _) in enumerate(_rows(objects, part)) if matches(key))


def _written(self: Rewriter, part: Part) -> Part | None:
    erased = self.dirty[part.id]
    if erased is None or len(erased) >= part.rows:
        return None
    return stage_part(self.stage, [row for at, row in enumerate(_rows(self.objects, part)) if at not in erased])


def _moved(self: Rewriter, deletes: str, erased: BitMap) -> Overlay:
    moved = remap(BitMap(read_deletes(self.objects.read, deletes)), erased, 0)
    return JsonCodec(self.stage, self.objects.read).stage(moved)


def _count(self: Suppression, objects: Objects, parts: Sequence[Part], schema: Any) -> int:
    keys = [key for part in parts for key, _ in read_part(objects.read, part)]
    gone = _suppressed(self, schema.field("key").remove_metadata(), stored_name(schema.field("key")))
    return sum(gone[key] if key < _MANY else bool(_mask(self, [key], schema.field("key"))[0]) for key in keys)


@lru_cache(maxsize=256)
def _suppressed(suppression: Suppression, field: Any, stored: str) -> Sequence[bool]:
    """Return for each small key what the real question says, which is asked once of all of them."""
    return [bool(held) for held in _mask(suppression, range(_MANY), stored_as(field, stored))]


def _mask(suppression: Suppression, keys: Sequence[int], field: Any) -> Any:
    import pyarrow as pa

    return suppression.mask(pa.table({"key": pa.array(keys, pa.int64())}), pa.schema([field]))


PAIRS: Sequence[tuple[type, str, Callable[..., Any]]] = (
    (Condition, "positions", _positions),
    (Rewriter, "_written", _written),
    (Rewriter, "_moved", _moved),
    (Suppression, "count", _count),
)
"""What lets erases read and write parts that are pairs: these are all the places at which they look at rows."""
