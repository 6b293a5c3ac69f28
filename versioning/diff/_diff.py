"""What differs between two versions of a dataset, row by row.

Only parts, and deletes of parts, that differ are read: a part that both versions hold with the same deletes
cannot differ. With a key a row that was replaced is *changed*, and the columns that differ are named; without
one the two versions are compared as multisets of rows. Columns go by the names of the later version, so that a
rename changes no row; nor does a drop, while a value in a column that came does: also where it is back, since the later
version is an older one. Then parts that both versions hold are read, too, if they have such a value.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dataplat.versioning._difference import PartsDifference, difference
from dataplat.versioning.before_image import count_gone, load, rows_gone
from dataplat.versioning.diff._schema import SchemaChange, columns_back, names_in_later, schema_changes, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part
    from dataplat.versioning.diff._columns import ColumnDiff
    from dataplat.versioning.diff._rows import Match, Rows
    from dataplat.versioning.diff._stats import StatsDiff
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """Counts of rows that were added, removed, and changed (same key, other values)."""

    added: int
    removed: int
    changed: int

    @property
    def is_empty(self) -> bool:
        """Whether no row differs."""
        return not (self.added or self.removed or self.changed)


class Diff:
    """The difference between two versions; counts and tables are computed when first asked for.

    `added` and `removed` are Arrow tables with the columns of the version that holds the rows, under the names that
    the later version has. `changed` has the key columns, `changed` (list of column names) and the structs `before` and
    `after` (with `_` behind each of these three names where the key has a column called so).
    """

    def __init__(self, objects: Objects, before: Manifest, after: Manifest) -> None:
        self._objects = objects
        self._before = before
        self._after = after

    @property
    def key(self) -> tuple[str, ...]:
        """The key by which rows are matched; empty where the versions do not share one."""
        names = names_in_later(self._before, self._after)
        return self._after.key if tuple(names[name] for name in self._before.key) == self._after.key else ()

    @cached_property
    def schema_changes(self) -> list[SchemaChange]:
        """Columns that came, went, were renamed, or changed their type or whether they may be null."""
        return schema_changes(self._before.schema_json, self._after.schema_json)

    @cached_property
    def summary(self) -> DiffSummary:
        """How many rows were added, removed and changed; reads nothing where counting parts is enough."""
        removed, added = self._counts
        if not removed or not added:
            return DiffSummary(added, removed, 0)
        match = self._match
        return DiffSummary(len(match.added), len(match.removed), len(match.changed_after))

    @property
    def by_parts(self) -> tuple[int, int]:
        """Rows that went and that came, told by parts without reading any: those that were written anew did both."""
        return self._counts

    @property
    def is_empty(self) -> bool:
        """Whether neither a row nor the schema differs."""
        return self.summary.is_empty and not self.schema_changes

    @property
    def added(self) -> pa.Table:
        """Rows that only the later version has."""
        return self.head("added")

    @property
    def removed(self) -> pa.Table:
        """Rows that only the earlier version has."""
        return self.head("removed")

    @property
    def changed(self) -> pa.Table:
        """Rows whose key is in both versions and whose values differ."""
        return self.head("changed")

    @property
    def now(self) -> pa.Table:
        """The rows of `changed` as the later version has them, in its columns alone."""
        return self._rows[1].take(self._match.changed_after)

    def head(self, kind: str, limit: int | None = None) -> pa.Table:
        """Return the first `limit` rows (None: all) that were `added`, `removed` or `changed`."""
        match = self._match
        before, after = self._rows
        if kind == "removed":
            return before.take(match.removed[:limit])
        if kind == "added":
            return after.take(match.added[:limit])
        from dataplat.versioning.diff._columns import changed_table

        rows = before.take(match.changed_before[:limit]), after.take(match.changed_after[:limit])
        return changed_table(*rows, self.key)

    @cached_property
    def columns(self) -> list[ColumnDiff]:
        """What happened to each column: its place in the schema, and in how many of the changed rows its cell differs."""
        from dataplat.versioning.diff._columns import column_diffs

        match = self._match
        before, after = self._rows
        changed = before.take(match.changed_before), after.take(match.changed_after)
        return column_diffs(self._before, self._after, *changed, self.key)

    @cached_property
    def stats(self) -> list[StatsDiff]:
        """Nulls, NaN, bounds and means of each column in both versions; reads what statistics of parts do not tell.

        Numeric columns are read as a whole, for their means; parts that both versions share are read once.
        """
        from dataplat.versioning.diff._stats import stats_diffs

        return stats_diffs(self._objects, self._before, self._after)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary and the schema changes as plain values."""
        summary = self.summary
        return {
            "before": self._before.id,
            "after": self._after.id,
            "added": summary.added,
            "removed": summary.removed,
            "changed": summary.changed,
            "schema_changes": [str(change) for change in self.schema_changes],
        }

    def to_arrow(self, limit: int | None = None) -> pa.Table:
        """Return all rows that differ (or the first `limit` of each kind) as one table.

        Its columns are `change` (`removed`, `added` or `changed`), those of the key, `changed` (names of the columns
        that differ), and the structs `before` and `after`, null where that version has no such row.
        """
        from dataplat.versioning.diff._columns import one_table

        removed, added, changed = (self.head(kind, limit) for kind in ("removed", "added", "changed"))
        return one_table(removed, added, changed, self.key)

    def to_html(self, limit: int = 50, title: str = "Difference") -> str:
        """Return one self-contained page: counts, schema changes, changed cells per column, and `limit` rows of each kind."""
        from dataplat.versioning.diff._page import page

        return page(self, limit, title)

    def _repr_html_(self) -> str:
        from dataplat.versioning.diff._page import fragment

        return fragment(self, 10, "Difference")

    def __repr__(self) -> str:
        summary = self.summary
        text = f"+{summary.added:,} added, -{summary.removed:,} removed, ~{summary.changed:,} changed rows"
        return f"Diff({'; '.join([text, *map(str, self.schema_changes)])})"

    @cached_property
    def _differs(self) -> PartsDifference:
        """Which parts differ; none where content ids that are known are equal, as after a compaction."""
        nothing = PartsDifference((), (), ())
        if self._before.id == self._after.id:
            return nothing
        if back := columns_back(self._before, self._after):
            return _with_values(self._before, self._after, back)
        found = difference(self._before, self._after)
        same = Counter(map(_identity, found.dropped)) & Counter(map(_identity, found.added))
        left = PartsDifference(_without(found.added, same), _without(found.dropped, same), found.changed)
        return nothing if left.added and left.dropped and self._same_content() else left

    def _same_content(self) -> bool:
        """Whether the content ids are known, and equal; not where a name has gone from one column to another."""
        from dataplat.versioning.content import known_content_id

        if self._before.rows != self._after.rows or self.schema_changes:
            return False
        ids = [known_content_id(self._objects, manifest) for manifest in (self._before, self._after)]
        return ids[0] is not None and ids[0] == ids[1]

    @cached_property
    def _reversed(self) -> PartsDifference:
        differs = self._differs
        return PartsDifference(differs.dropped, differs.added, tuple((new, old) for old, new in differs.changed))

    @cached_property
    def _counts(self) -> tuple[int, int]:
        """Rows of the earlier and of the later version that may differ."""
        return count_gone(self._objects, self._differs), count_gone(self._objects, self._reversed)

    @cached_property
    def _rows(self) -> tuple[Rows, Rows]:
        view = view_of(self._before, self._after)
        counts = self._counts
        return (
            _candidates(self._objects, self._differs, (self._before, self._after), view, counts[0]),
            _candidates(self._objects, self._reversed, (self._after, self._before), self._after.schema, counts[1]),
        )

    @cached_property
    def _match(self) -> Match:
        from dataplat.versioning.diff._rows import match

        return match(*self._rows, self.key)


def _candidates(
    objects: Objects, differs: PartsDifference, versions: tuple[Manifest, Manifest], view: pa.Schema, count: int
) -> Rows:
    """Return the rows of the first version that the second may lack, projected to `view`."""
    from dataplat.lake.schema import plain_schema
    from dataplat.versioning.diff._rows import Rows

    plain = plain_schema(view)

    def read() -> Iterator[pa.RecordBatch]:
        remembered = load(objects, versions[0].id, versions[1].id, count) if differs.changed else None
        if remembered is None:
            yield from rows_gone(objects, differs, view)
        else:
            from dataplat.lake.schema import conform

            yield from conform(remembered.rename_columns(plain.names), plain).to_batches()

    return Rows(plain, count, read)


def _with_values(before: Manifest, after: Manifest, names: Sequence[str]) -> PartsDifference:
    """Return all parts as different, but those of both sides in which the columns `names` of the later are null."""
    old, new = tuple(before.parts()), tuple(after.parts())
    null = [part for part in new if all(_is_null(part, name) for name in names)]
    same = Counter(map(_identity, old)) & Counter(map(_identity, null))
    return PartsDifference(_without(new, same), _without(old, same), ())


def _is_null(part: Part, name: str) -> bool:
    held = part.stats.get(name)
    return held is not None and held.nulls == part.rows  # where nothing is said it is read


def _identity(part: Part) -> tuple[str, str | None]:
    return part.id, part.deletes


def _without(parts: Sequence[Part], same: Counter[tuple[str, str | None]]) -> tuple[Part, ...]:
    """Leave out parts that the other side holds too, at another place."""
    left = same.copy()
    kept = []
    for part in parts:
        if left[_identity(part)]:
            left[_identity(part)] -= 1
        elif part.live:
            kept.append(part)
    return tuple(kept)
