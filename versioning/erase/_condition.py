"""The condition of an erase: asked of parts as they were written, and put down so that nothing of it comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap

from dataplat.errors import PredicateError
from dataplat.lake.schema import stored_as, stored_name
from dataplat.versioning.suppression import Column, Entry, digest_texts

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.lake.where import Where
    from dataplat.versioning.manifest import Manifest

View = tuple[tuple[str, str], ...]
"""How a version names the columns of the condition: (name in the condition, stored name)."""


@dataclass(slots=True)
class Condition:
    """A condition over rows of a dataset, whatever its columns were called when the rows were written.

    `schema` is that of the version by which it was read; `views` are the names by which versions had its columns.
    """

    text: str
    where: Where
    schema: pa.Schema
    views: tuple[View, ...]
    _fitted: dict[str, Where] = field(default_factory=dict)

    @classmethod
    def read(cls, where: Any, manifests: Sequence[Manifest]) -> Condition:
        """Read a condition by the newest of `manifests` (oldest first) that has its columns.

        Raises:
            PredicateError: It fits none of them.
        """
        from dataplat.lake.where import parse_where

        problem: PredicateError | None = None
        found: tuple[Where, pa.Schema] | None = None
        views: dict[View, None] = {}
        for manifest in reversed(manifests):
            if found is not None and not set(found[0].columns) <= manifest.root.names.keys():
                continue
            try:
                asked = parse_where(where, manifest.schema)
            except PredicateError as error:
                problem = problem or error
                continue
            found = found or (asked, manifest.schema)
            views[tuple((name, manifest.root.names[name]) for name in found[0].columns)] = None
        if found is None:
            raise problem or PredicateError("there is no version to ask the condition of")
        return cls(found[0].text, found[0], found[1], tuple(views))

    @property
    def equalities(self) -> dict[str, pa.Array] | None:
        """The values that each column may have, where the condition is no more than that."""
        from dataplat.lake.where import equalities

        return equalities(self.where, self.schema)

    def entry(self) -> Entry:
        """Return what is kept of the condition, so that the rows do not come back: digests where that will do."""
        stored = {name: stored_name(self.schema.field(name)) for name in self.where.columns}
        values = self.equalities
        if values is None:
            return Entry(columns=tuple(Column(name, stored[name]) for name in stored), where=self.text)
        return Entry(
            columns=tuple(
                Column(name, stored[name], tuple(sorted(text for form in _forms(held) for text in digest_texts(form))))
                for name, held in sorted(values.items())
            )
        )

    def view(self, manifest: Manifest) -> View:
        """Return how parts of a version hold the columns: by identity where it knows them, or else by name."""
        there = {*manifest.root.names.values(), *manifest.root.gone}
        known = [view for view in self.views if all(stored in there for _, stored in view)]
        if known:
            return known[0]
        names = manifest.root.names
        return tuple((name, names.get(name, stored)) for name, stored in (self.views[0] if self.views else ()))

    def may_match(self, part: Part, view: View, manifest: Manifest) -> bool:
        """Return False where exact statistics, by stored name, prove that no row of `part` matches."""
        kinds = {stored: manifest.schema.field(name).type for name, stored in manifest.root.names.items()}
        known = {n: s for n, s in view if s in kinds and s not in manifest.root.retyped and s in part.stats}
        if any(kinds[stored] != self.schema.field(name).type for name, stored in known.items()):
            return True
        stats = {name: part.stats[stored] for name, stored in known.items()}
        types = {name: kinds[stored] for name, stored in known.items()}
        return self.where.may_match(stats, part.rows, types)

    def positions(self, objects: Objects, part: Part, views: Iterable[View]) -> BitMap:
        """Return which rows written in `part`, deleted or not, match; the rest of its metadata is not looked at."""
        from dataplat.lake._part_open import open_part
        from dataplat.lake.scan import ROW_COLUMN, scan

        whole = part.with_deletes(None, 0)
        written = open_part(objects, whole).schema
        found = BitMap()
        for view in views:
            schema = self._schema(written, view)
            where = self._fit(schema)
            rows = scan(objects, [whole], schema, columns=[], where=where, with_positions=True)
            found |= BitMap(row for batch in rows for row in batch.column(ROW_COLUMN).to_pylist())
        return found

    def _schema(self, written: pa.Schema, view: View) -> pa.Schema:
        """Return the condition's columns with the types that a part has them in."""
        import pyarrow as pa

        fields = []
        for name, stored in view:
            kind = written.field(stored).type if stored in written.names else self.schema.field(name).type
            fields.append(stored_as(pa.field(name, kind), stored))
        return pa.schema(fields)

    def _fit(self, schema: pa.Schema) -> Where:
        from dataplat.lake.where import Where

        key = schema.to_string(show_field_metadata=False)
        if key not in self._fitted:
            try:
                self._fitted[key] = Where.loads(self.text, schema)
            except PredicateError as error:
                kinds = ", ".join(f"{field.name} {field.type}" for field in schema)
                raise PredicateError(
                    f"an older version has these columns in other types ({kinds}), of which the condition cannot be "
                    f"asked, so nothing was erased: {error}. Write it with a cast, such as cast(id as string) = '42'"
                ) from error
        return self._fitted[key]

    def words(self) -> list[list[bytes]] | None:
        """Return, by column, its values as they are likely to stand in text; None where any text might match."""
        values = self.equalities
        if values is None:
            return None
        return [[str(value).encode() for value in held.to_pylist()] for held in values.values()]


def _forms(values: pa.Array) -> list[pa.Array]:
    """Return values as their column has them, and, of numbers and text, as the other: a file may bring either."""
    import pyarrow as pa

    if pa.types.is_integer(values.type):
        return [values, values.cast(pa.string())]
    if pa.types.is_string(values.type):
        numbers = [int(text) for text in values.to_pylist() if text.isascii() and text.isdigit() and len(text) < 19]
        plain = [number for number in numbers if str(number) in set(values.to_pylist())]
        return [values, *([pa.array(plain, pa.int64())] if plain else [])]
    return [values]


@dataclass(frozen=True, slots=True)
class RejectsCondition:
    """Which rejected records go: those whose text has one of the values of each column, or all.

    A record that could not be read has no columns to ask.
    """

    words: Sequence[Sequence[bytes]] | None

    def positions(self, objects: Objects, part: Part, _views: object = ()) -> BitMap:
        """Return which records written in `part` go."""
        from dataplat.lake.parts import read_part

        if self.words is None:
            return BitMap(range(part.rows))
        rows = (row for batch in read_part(objects, part) for row in batch.to_pylist())
        return BitMap(at for at, row in enumerate(rows) if self._has(row))

    def _has(self, row: dict[str, Any]) -> bool:
        text = b"\n".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values() if v is not None)
        return all(any(stands_in(word, text) for word in each) for each in self.words or ())

    def view(self, _manifest: Manifest) -> View:
        """Return that nothing is told by names."""
        return ()

    def may_match(self, _part: Part, _view: View, _manifest: Manifest) -> bool:
        """Return that statistics prove nothing."""
        return True


def stands_in(word: bytes, text: bytes) -> bool:
    """Whether a value stands in a text as a word of its own: 42 not in 1420."""
    return re.search(rb"(?<![0-9A-Za-z_])" + re.escape(word) + rb"(?![0-9A-Za-z_])", text) is not None
