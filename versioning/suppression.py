"""Suppression: rows that were erased from a dataset do not come back into it, whoever brings them.

The head of a branch carries, in its settings, `suppress`: by dataset, the id of an object (`.bin`) that lists what was
erased, and `erase`, the number of the newest erase that it knows of. An entry of a list says columns and digests of the
erased values, never the values; where the condition was not a matter of equal values, its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataplat.errors import CommitConflict, PredicateError
from dataplat.lake.schema import stored_name
from dataplat.versioning._frames import pack, unpack
from dataplat.versioning._json import canonical, object_id

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.lake.stores import Bytes
    from dataplat.versioning.manifest import Manifest

SUPPRESS: Final = "suppress"
ERASE: Final = "erase"

_VALUE: Final = "v"
"""The column name that values are digested under, whatever their column is called."""


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a condition: its name when it was asked, under which name parts hold it, and digests of its values."""

    name: str
    stored: str
    digests: tuple[str, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one erase took: rows that have one of the values in each of `columns`, or, where there is `where`, meet it."""

    columns: tuple[Column, ...]
    where: str = ""

    @property
    def id(self) -> str:
        """What names the entry: the same condition has the same."""
        return object_id(canonical(self))[:16]


class Entries(msgspec.Struct, frozen=True, kw_only=True, tag_field="format", tag="dataplat.suppress/1"):
    """All that was erased from one dataset. `nonce` makes each list an object of its own.

    One with the bytes of an older list that nothing names any more might be collected with that.
    """

    entries: tuple[Entry, ...]
    nonce: str = ""

    def encode(self) -> Bytes:
        """Return the bytes of the list."""
        return pack([canonical(self)])[0]


def load_entries(objects: Objects, id: str) -> Entries:
    """Return the list that is the object `id`."""
    return msgspec.json.decode(unpack(objects.read(id, ".bin"), f"suppression list {id}"), type=Entries)


def lists_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return, by dataset, the lists that the settings of a branch name."""
    found: dict[str, str] = settings.get(SUPPRESS, {})
    return found


def kept_on(before: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of suppression has to be in `settings`, which follow `before` on a branch: all that was there."""
    lists = {**lists_of(settings), **lists_of(before)}
    number = max(before.get(ERASE, 0), settings.get(ERASE, 0))
    return ({SUPPRESS: lists} if lists else {}) | ({ERASE: number} if number else {})


def renamed_on(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the settings with the lists of datasets under their new names, too; None where there are none."""
    lists = lists_of(settings)
    more = {new: lists[old] for old, new in names.items() if old in lists}
    return {**settings, SUPPRESS: {**lists, **more}} if more else None


def digests_of(values: pa.Array) -> npt.NDArray[np.uint64]:
    """Return the two lanes of the digest of each value; equal values of a family have equal ones."""
    import pyarrow as pa

    from dataplat.lake.content_id import key_digests

    return key_digests(pa.RecordBatch.from_arrays([values], [_VALUE]), [_VALUE])


def digest_texts(values: pa.Array) -> list[str]:
    """Return the digests of values as hex."""
    return [f"{int(row[0]):016x}{int(row[1]):016x}" for row in digests_of(values)]


@dataclass(frozen=True, slots=True)
class Suppression:
    """What was erased from a dataset, to be asked of rows."""

    dataset: str
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, objects: Objects, settings: Mapping[str, Any], dataset: str) -> Suppression | None:
        """Return what a branch says of a dataset; None where nothing was ever erased from it."""
        id = lists_of(settings).get(dataset)
        return None if id is None else cls(dataset, load_entries(objects, id).entries)

    def mask(self, rows: pa.RecordBatch | pa.Table, schema: pa.Schema | None = None) -> npt.NDArray[np.bool_]:
        """Return for each row whether it was erased; `schema`, of the same names, says stored names.

        Raises:
            PredicateError: A condition cannot be asked of these columns.
        """
        import numpy as np

        found = np.zeros(rows.num_rows, dtype=np.bool_)
        digests: dict[str, npt.NDArray[np.uint64]] = {}
        for entry in self.entries:
            names = [_held(column, schema or rows.schema) for column in entry.columns]
            if entry.where:
                found |= self._meets(entry, rows, names)
            elif None not in names:
                held = np.ones(rows.num_rows, dtype=np.bool_)
                for column, name in zip(entry.columns, names, strict=True):
                    assert name is not None
                    if name not in digests:
                        digests[name] = digests_of(_one(rows.column(name)))
                    held &= _among(digests[name], column.digests)
                found |= held
        return found

    def _meets(
        self, entry: Entry, rows: pa.RecordBatch | pa.Table, names: Sequence[str | None]
    ) -> npt.NDArray[np.bool_]:
        import numpy as np
        import pyarrow as pa

        from dataplat.lake.where import Where

        if entry.columns and all(name is None for name in names):
            return np.zeros(rows.num_rows, dtype=np.bool_)
        arrays = {
            column.name: pa.nulls(rows.num_rows) if name is None else rows.column(name)
            for column, name in zip(entry.columns, names, strict=True)
        }
        table = pa.table(arrays) if arrays else rows.select([])
        try:
            where = Where.loads(entry.where, table.schema)
        except PredicateError as error:
            raise PredicateError(
                f"rows were erased from {self.dataset!r} by a condition that cannot be asked of its columns as they come "
                f"now, so they might come back: {error}"
            ) from error
        mask: npt.NDArray[np.bool_] = where.mask(table).to_numpy(zero_copy_only=False)
        return mask

    def columns(self, schema: pa.Schema) -> list[str]:
        """Return the columns of `schema` (with stored names) that have to be looked at."""
        held = (_held(column, schema) for entry in self.entries for column in entry.columns)
        return list(dict.fromkeys(name for name in held if name is not None))

    def count(self, objects: Objects, parts: Sequence[Part], schema: pa.Schema) -> int:
        """Return how many rows written in `parts`, deleted or not, were erased from the dataset."""
        from dataplat.lake.scan import scan

        wanted = self.columns(schema)
        whole = [part.with_deletes(None, 0) for part in parts]
        return sum(int(self.mask(batch, schema).sum()) for batch in scan(objects, whole, schema, columns=wanted))


def _held(column: Column, schema: pa.Schema) -> str | None:
    """Return what a column is called in `schema`: it is told by its stored name, or else by the one it had."""
    for field in schema:
        if stored_name(field) == column.stored:
            return str(field.name)
    return column.name if column.name in schema.names else None


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _among(lanes: npt.NDArray[np.uint64], digests: Sequence[str]) -> npt.NDArray[np.bool_]:
    import numpy as np

    wanted = {(int(text[:16], 16), int(text[16:], 16)) for text in digests}
    maybe = np.isin(lanes[:, 0], np.array(sorted(lane for lane, _ in wanted), dtype=np.uint64))
    for at in np.flatnonzero(maybe):
        maybe[at] = (int(lanes[at, 0]), int(lanes[at, 1])) in wanted
    return maybe


def refuse_suppressed(
    objects: Objects, settings: Mapping[str, Any], dataset: str, before: Manifest | None, after: Manifest | None
) -> None:
    """Raise `CommitConflict` if `after` has a part that `before` has not, with rows that were erased from the dataset.

    `objects` sees what is staged. A dataset that nothing was erased from costs nothing.
    """
    if after is None or dataset not in lists_of(settings):
        return
    from dataplat.versioning._difference import difference

    suppression = Suppression.of(objects, settings, dataset)
    parts = after.parts() if before is None else difference(before, after).added
    count = 0 if suppression is None else suppression.count(objects, list(parts), after.schema)
    if count:
        raise CommitConflict(
            f"{count:,} row{'' if count == 1 else 's'} of this change {'was' if count == 1 else 'were'} erased from "
            f"{dataset!r}, and may not come back. Nothing was committed; plan again. Where the rows are from an older "
            "version, its erase was stopped: run `dataplat version erase` again."
        )


def suppressing(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a new branch has to know: all that any branch does."""
    found: dict[str, Any] = {}
    for each in sorted(settings, key=lambda one: int(one.get(ERASE, 0)), reverse=True):
        found |= kept_on(found, each)
    return found


def list_objects(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (id, suffix) of the lists that a branch names."""
    yield from ((id, ".bin") for id in sorted(set(lists_of(settings).values())))
