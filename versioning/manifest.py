"""Manifests: the schema, key and parts of one dataset version, under a small root.

The root's canonical JSON names everything else, so its SHA-256 is the version id. It holds counts, schema and a
summary per segment; segments hold the parts (see `segments`). Large segments lie in the *base* and are written
once; small ones wait in the *tail*, are merged by size, and move to the base when they have grown large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from dataplat.errors import IntegrityError, LakeFormatError, ObjectNotFound, VersionNotFound
from dataplat.lake.digest import Digest
from dataplat.lake.part import ColumnStats, Part
from dataplat.lake.schema import stored_in
from dataplat.versioning import _tiers
from dataplat.versioning._index import children
from dataplat.versioning._json import canonical, object_id
from dataplat.versioning._root import Root, SegmentRef
from dataplat.versioning._stats import NamedStats, stored_stats
from dataplat.versioning._table import Read, ReadHead, Table
from dataplat.versioning.gc.gone import refuse_collected
from dataplat.versioning.redactions import followed
from dataplat.versioning.segments import Entries

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.lake.objects import Objects, Stage

PartKey: TypeAlias = "str | int"
"""A part of a manifest: its id, or its place where the manifest holds the same id twice."""

_STEP: Final = 4096
"""Between the places of parts appended one after the other, so that a compaction finds room in between."""


class Prunes(Protocol):
    """A condition that can tell from statistics that no row of a part meets it (`lake.where.Where`)."""

    def may_match(self, stats: Mapping[str, ColumnStats], rows: int, types: Any) -> bool:
        """Return False only where no row can match."""
        ...


@dataclass(frozen=True, slots=True)
class ManifestEdit:
    """What one commit does to a manifest.

    `add`: parts, behind all others (a part whose `place` is set already, by a compaction, goes there).
    `deletes`: (deletes object, cardinality) by part, in place of what the part had. `drop`: parts that go.
    `schema_json`, `key`, `sort`: what they become, None to leave them. `gone`: stored names that no column has, but
    parts added may hold (parts of another version; none that were written for this one). `digest`: that of all live
    rows after the edit, None where it is pending. Statistics of the parts added are by stored name, or as a manifest
    gave them out.
    """

    add: Sequence[Part] = ()
    deletes: Mapping[Any, tuple[str | None, int]] = field(default_factory=dict)  # by PartKey
    drop: Sequence[PartKey] = ()
    schema_json: Sequence[Mapping[str, Any]] | None = None
    key: Sequence[str] | None = None
    sort: Sequence[str] | None = None
    gone: Sequence[str] = ()
    digest: Digest | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing but the digest."""
        changed = self.add or self.deletes or self.drop
        return not changed and self.schema_json is None and self.key is None and self.sort is None


class Manifest:
    """One version of a dataset. A value: it never changes; `apply` returns another."""

    def __init__(
        self,
        root: Root,
        read: Read,
        data: bytes | None = None,
        at_once: int = 1,
        read_head: ReadHead | None = None,
    ) -> None:
        self._root = root
        self._read = read
        self._read_head = read_head
        self._at_once = at_once
        self._data = canonical(root) if data is None else data
        self.redacted_from: str | None = None

    @classmethod
    def empty(
        cls, schema_json: Sequence[Mapping[str, Any]], key: Sequence[str] = (), sort: Sequence[str] = ()
    ) -> Manifest:
        """Return a manifest of no rows; it is in no store until something is applied to it."""
        root = Root(
            schema=[dict(column) for column in schema_json], key=tuple(key), sort=tuple(sort), digest=Digest().encode()
        )
        return cls(root, _nothing)

    @cached_property
    def id(self) -> str:
        """The version id: SHA-256 of the root."""
        return object_id(self._data)

    @property
    def schema_json(self) -> list[dict[str, Any]]:
        """The schema as plain JSON, readable without pyarrow; a column whose stored name is another has it, too."""
        return self._root.schema

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema as Arrow has it, with stored names as metadata (`lake.schema.plain_schema` is without)."""
        from dataplat.lake.schema import schema_from_json

        return schema_from_json(self.schema_json)

    @property
    def key(self) -> tuple[str, ...]:
        """Columns whose values name a row; empty where the dataset has no key."""
        return self._root.key

    @property
    def sort(self) -> tuple[str, ...]:
        """Columns by which rows are sorted within a part."""
        return self._root.sort

    @property
    def rows(self) -> int:
        """Rows that count."""
        return self._root.rows

    @property
    def deleted(self) -> int:
        """Rows that lie in parts but no longer count."""
        return self._root.deleted

    @property
    def nbytes(self) -> int:
        """Bytes of all parts."""
        return self._root.bytes

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return self._root.parts

    @cached_property
    def digest(self) -> Digest | None:
        """The digest of all live rows; None where it has not been computed."""
        return None if self._root.digest is None else Digest.decode(self._root.digest)

    def parts(self, where: Prunes | None = None) -> Sequence[Part]:
        """Return the parts in order, made as they are looked at; with `where` without those that statistics prove to hold no such row.

        Their statistics are under the names that columns have in this version.
        Whole segments are skipped by their summaries, so few of a large manifest are read.
        """
        if where is None:
            return self._table.parts
        types = {column.name: column.type for column in self.schema}

        def wanted(ref: SegmentRef) -> bool:
            return where.may_match(NamedStats(ref.bounds, self._root.names), ref.rows, types)

        table = Table.load(self._root, self._read, wanted, self._at_once)
        return [part for part in table.parts if where.may_match(part.stats, part.rows, types)]

    def find(self, key: PartKey) -> Sequence[Part]:
        """Return the part of that place, or the parts of that id (more than one where it was added twice).

        Raises:
            KeyError: There is none, or there are several with different deletes.
        """
        return self._table.find(key)

    def part(self, key: PartKey) -> Part:
        """Return the part of that id or place; raise `KeyError` if there is none.

        Of an id that is there twice it returns the first; raise `KeyError` if their deletes differ.
        """
        return self._table.find(key)[0]

    def table(self, wanted: Callable[[SegmentRef], bool] = lambda _: True) -> Table:
        """Return the parts of all `wanted` segments, by place."""
        return Table.load(self._root, self._read, wanted, self._at_once, self._read_head)

    @cached_property
    def _table(self) -> Table:
        return self.table()

    @property
    def root(self) -> Root:
        """What the root object holds."""
        return self._root

    @property
    def read(self) -> Read:
        """How its objects are read."""
        return self._read

    def object_ids(self) -> Iterable[tuple[str, str]]:
        """Yield (id, suffix) of every object that this version needs, itself first."""
        yield self.id, ".json"
        yield from ((id, ".bin") for id in _below(self._root.refs, self._read))
        for part in self.parts():
            yield part.id, ".parquet"
            if part.deletes is not None:
                yield part.deletes, ".bin"

    def apply(self, edit: ManifestEdit, stage: Stage) -> Manifest:
        """Return the manifest after `edit`, its new segments and root put into `stage`.

        Raises:
            KeyError: The edit names a part that is not in this manifest.
        """
        root = self._root
        table = self._table if edit.deletes or edit.drop else Table([])  # an append need not know the others
        overlays, dropped = _targets(table, edit)
        added, next_place = _placed(edit.add, root.next)
        counts = _counts(root, table, added, overlays, dropped)
        schema = root.schema if edit.schema_json is None else [dict(column) for column in edit.schema_json]
        after = msgspec.structs.replace(
            root,
            schema=schema,
            key=root.key if edit.key is None else tuple(edit.key),
            sort=root.sort if edit.sort is None else tuple(edit.sort),
            next=next_place,
            digest=None if edit.digest is None else edit.digest.encode(),
            retyped=_retyped(root, schema),
            gone=_gone(root.gone, root.schema, schema, edit.gone),
            **counts,
        )
        if counts["parts"] == len(added):  # nothing of the old is left
            after = msgspec.structs.replace(after, base=(), tail=(), retyped={}, gone=_gone((), (), schema, edit.gone))
            overlays, dropped = {}, frozenset()
        after = _tiers.push(after, Entries(added, overlays, dropped), stage, self._reader(stage))
        return Manifest(after, stage.read).stage(stage)

    def stage(self, stage: Stage) -> Manifest:
        """Put the root into `stage` and return the manifest."""
        stage.put(self._data, ".json")
        return self

    def _reader(self, stage: Stage) -> Read:
        return stage.read if self._read is _nothing else self._read

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Manifest({self.id[:12]}, rows={self.rows}, parts={self.n_parts})"


def load_manifest(objects: Objects, id: str) -> Manifest:
    """Return the manifest whose version id is `id`; one small object is read.

    Of a version that was erased it is the one in its place, whose id is another: `redacted_from` says which was asked for.

    Raises:
        VersionNotFound: It was collected.
        ObjectNotFound: There is no such object.
        LakeFormatError: The object is no manifest, or one of a newer dataplat.
    """
    try:
        data = objects.read(id, ".json")
    except ObjectNotFound:
        new = followed(objects.store, id)  # first: a version that was collected may have been made again, and erased
        if new == id:
            refuse_collected(objects.store, id)
            raise
        return _in_its_place(objects, id, new)
    return Manifest(decode_root(data, id), objects.read, data, objects.at_once, objects.read_head)


def decode_root(data: bytes, id: str) -> Root:
    """Read the root of a manifest; raise `LakeFormatError` or `IntegrityError` if it is none."""
    try:
        return msgspec.json.decode(data, type=Root)
    except msgspec.ValidationError as error:
        raise LakeFormatError(f"object {id} is not a manifest that this dataplat can read: {error}") from error
    except msgspec.DecodeError as error:
        raise IntegrityError(f"manifest {id} is not readable: {error}. Run `dataplat version verify`.") from error


def _in_its_place(objects: Objects, id: str, new: str) -> Manifest:
    """Return the manifest `new` that the erased version `id` leads to."""
    try:
        manifest = load_manifest(objects, new)
    except ObjectNotFound as error:
        raise VersionNotFound(f"version {id[:12]} was erased, and what it led to was collected: {error}") from error
    manifest.redacted_from = id
    return manifest


def _below(refs: Iterable[SegmentRef], read: Read) -> Iterator[str]:
    for ref in refs:
        yield ref.id
        if ref.level:
            yield from _below(children(ref, read), read)


def _nothing(id: str, suffix: str) -> bytes:
    raise AssertionError(f"an empty manifest has no object {id}{suffix}")


def _targets(table: Table, edit: ManifestEdit) -> tuple[dict[int, tuple[str | None, int]], frozenset[int]]:
    dropped = frozenset(part.place for key in edit.drop for part in table.find(key))
    overlays = {part.place: deletes for key, deletes in edit.deletes.items() for part in table.find(key)}
    return {place: overlay for place, overlay in sorted(overlays.items()) if place not in dropped}, dropped


def _placed(parts: Sequence[Part], next_place: int) -> tuple[list[Part], int]:
    placed = []
    for part in parts:
        place = part.place
        if place < 0:
            place, next_place = next_place, next_place + _STEP
        placed.append(replace(part, place=place, stats=stored_stats(part.stats)))
    return sorted(placed, key=lambda part: part.place), next_place


def _counts(
    root: Root,
    table: Table,
    added: Sequence[Part],
    overlays: Mapping[int, tuple[str | None, int]],
    dropped: Iterable[int],
) -> dict[str, int]:
    rows = root.rows + sum(part.live for part in added)
    deleted = root.deleted + sum(part.deleted for part in added)
    size = root.bytes + sum(part.size for part in added)
    parts = root.parts + len(added)
    for place, (_, count) in overlays.items():
        more = count - table.by_place[place].deleted
        rows, deleted = rows - more, deleted + more
    for place in dropped:
        part = table.by_place[place]
        rows, deleted, size, parts = rows - part.live, deleted - part.deleted, size - part.size, parts - 1
    return {"rows": rows, "deleted": deleted, "bytes": size, "parts": parts}


def _retyped(root: Root, schema: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return, by column whose type changed, the place below which statistics are in the units of another type."""
    if schema is root.schema:
        return root.retyped
    before = {stored_in(column): column["type"] for column in root.schema}
    retyped = dict(root.retyped)
    for column in schema:
        stored, kind = stored_in(column), column["type"]
        if stored in before and _scale(before[stored]) != _scale(kind):
            retyped[stored] = root.next
    return retyped


def _gone(
    gone: Sequence[str],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    more: Sequence[str],
) -> tuple[str, ...]:
    """Return the stored names that parts may hold and no column of the schema `after` has."""
    return tuple(sorted({*gone, *map(stored_in, before), *more} - set(map(stored_in, after))))


def _scale(kind: object) -> object:
    """Bounds of two types are comparable where this is equal."""
    if isinstance(kind, str) and kind.removeprefix("u").startswith("int"):
        return "int"
    names = [name for name in ("float", "decimal") if isinstance(kind, str) and kind.startswith(name)]
    return names[0] if names else kind
