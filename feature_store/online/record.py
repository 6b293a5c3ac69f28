"""Records: all that is kept of a key, so that every later time is answered as from all rows (PIT 1 to 24).

Of the rows of a key those are kept that can be the newest at some `t >= at`. A row `r` cannot, if there is a newer one `s` (in
the order of PIT 6) with `k_s <= max(at, k_r)`, `e_s <= max(at, max(e_r, k_r))`, and an end that is not before that of `r`:
whenever `r` counts, `s` does, and is preferred; and whenever `r` is known, `s` is, so that the status is the same, too. The
newest row that is settled (could be served by `at`, has no end) is such an `s` for all before it. So what is kept is that row
and all after it; and the same again of the rows in which a column with fill="last_non_null" is not null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from dataplat.feature_store.kernel.answer import counted_lives
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import starts_of
from dataplat.feature_store.keys import encode
from dataplat.feature_store.online.events import event_sections
from dataplat.feature_store.online.layout import ALWAYS, CLEAN, MISSING, SECTIONS, SEVERAL, Layout, null_bits
from dataplat.feature_store.online.plan import Base, Group, ServingPlan

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat.feature_store.kernel.facts import Facts

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


def pack(plan: ServingPlan, group: Group, facts: Mapping[str, Facts], at: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and record of each key of a group that has something to serve, by key.

    Args:
        plan: of the service.
        group: one of its groups.
        facts: by base: the rows of some keys, all of them, and for each base of the group.
        at: for which time, microseconds: records are right for it and all later ones.
    """
    return ((key, record) for key, record in changes(plan, group, facts, at) if record is not None)


def changes(
    plan: ServingPlan, group: Group, facts: Mapping[str, Facts], at: int
) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield as `pack`, and None in the place of a record where a key of these rows has nothing to serve any more."""
    own = [facts[base.name] for base in group.bases]
    keys = _Keys.of(own)
    if not len(keys):
        return
    layout = plan.layouts[group.number]
    fixed = np.zeros(len(keys), layout.dtype)
    fixed["at"], fixed["flags"], fixed["until"] = at, CLEAN, ALWAYS
    sections: dict[int, list[Any]] = {}
    tails: list[pa.Array] = []
    for base, rows, place in zip(group.bases, own, keys.places, strict=True):
        part = _Part(base, rows, _starts(rows), place, at)
        tails += part.write(fixed, sections)
    nothing = _nothing(group, fixed, sections)
    records = _joined(fixed, tails, sections, layout)
    names = keys_of(group, keys.table, len(keys))
    import pyarrow as pa
    import pyarrow.compute as pc

    order = pc.sort_indices(names)
    missing = nothing[np.asarray(order)].tolist()
    records = (
        records.take(order).to_pylist() if isinstance(records, pa.Array) else [records[at] for at in order.to_pylist()]
    )
    for key, record, none in zip(names.take(order).to_pylist(), records, missing, strict=True):
        if key is not None:
            yield key, None if none else record


def keys_of(group: Group, keys: pa.Table, rows: int) -> pa.Array:
    """Return the keys of records of keys, as `dataplat.feature_store.keys.typed_keys` gives them; null where they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = bytes([group.number])
    if not group.entities:
        return pa.array([number] * rows, pa.binary())
    return pc.binary_join_element_wise(pa.scalar(number, pa.binary()), encode(keys), pa.scalar(b"", pa.binary()))


def _starts(rows: Facts) -> Ints:
    """Return where the rows of each key begin, and the end."""
    return np.append(starts_of(rows), len(rows))


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of all bases together.

    Attributes:
        table: their values.
        places: by base, the place of each of its keys among them; -1: it is null.
    """

    table: pa.Table
    places: list[Ints]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @classmethod
    def of(cls, rows: Sequence[Facts]) -> _Keys:
        """Return the keys of rows."""
        import pyarrow as pa

        pairs = np.dtype([("high", np.uint64), ("low", np.uint64)])
        firsts = [_starts(each)[:-1] for each in rows]
        digests = []
        for each, first in zip(rows, firsts, strict=True):
            found = np.empty(len(first), pairs)
            found["high"], found["low"] = each.high[first], each.low[first]
            digests.append(found)
        named = [
            np.ones(len(first), bool) if each.keyless is None else ~each.keyless[first]
            for each, first in zip(rows, firsts, strict=True)
        ]
        if len(rows) == 1:
            there = np.flatnonzero(named[0])
            places = [np.where(named[0], np.cumsum(named[0]) - 1, -1)]
            first = firsts[0][there]
            return cls(rows[0].keys.take(pa.array(first)) if rows[0].keys.num_columns else _empty(len(first)), places)
        every, index, inverse = np.unique(
            np.concatenate([each[some] for each, some in zip(digests, named, strict=True)]),
            return_index=True,
            return_inverse=True,
        )
        tables = [each.keys.take(pa.array(first[some])) for each, first, some in zip(rows, firsts, named, strict=True)]
        found_places, done = [], 0
        for some in named:
            place = np.full(len(some), -1)
            place[some] = inverse[done : done + int(some.sum())]
            done += int(some.sum())
            found_places.append(place)
        table = pa.concat_tables(tables).take(pa.array(index)) if tables[0].num_columns else _empty(len(every))
        return cls(table, found_places)


def _empty(rows: int) -> pa.Table:
    import pyarrow as pa

    return pa.table({"x": np.zeros(rows)}).select([])


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one base, and the place of each of its keys among the records."""

    base: Base
    facts: Facts
    starts: Ints
    place: Ints
    at: int

    def write(self, fixed: NDArray[Any], sections: dict[int, list[Any]]) -> list[pa.Array]:
        """Write into the fixed part and the sections, and return the values of no fixed width."""
        newest, several = self._kept()
        chosen = np.full(len(fixed), -1)
        there = self.place >= 0
        chosen[self.place[there]] = newest[there]
        has = chosen >= 0
        e = fixed[f"{self.base.place} e"]
        e[:] = MISSING
        e[has] = self.facts.e[chosen[has]]
        if self.base.known:
            fixed[f"{self.base.place} k"][has] = self.facts.k[chosen[has]]
        for key, rows in several.items():
            place = int(self.place[key])
            e[place] = SEVERAL
            chosen[place] = -1
            self._section(sections, place)[0] = rows
        self._limit(fixed, e)
        for key, events in enumerate(self._events()):
            if events is not None and self.place[key] >= 0:
                self._section(sections, int(self.place[key]))[1:] = events
        return self._values(fixed, chosen)

    def _section(self, sections: dict[int, list[Any]], place: int) -> list[Any]:
        of_bases = sections.setdefault(place, [])
        while len(of_bases) <= self.base.place:
            of_bases.append(None)
        if of_bases[self.base.place] is None:
            of_bases[self.base.place] = [None, None, [], []]
        found: list[Any] = of_bases[self.base.place]
        return found

    def _limit(self, fixed: NDArray[Any], e: Ints) -> None:
        """Note from when on a row is expired, and where not every row is there."""
        plain = e > SEVERAL
        fixed["flags"][~plain] &= ~np.uint8(CLEAN)
        ttl = self.base.view.view.ttl
        if ttl is not None:
            until = np.where(plain & (e < ALWAYS - ttl), e + np.where(plain, ttl, 0), ALWAYS)
            fixed["until"] = np.minimum(fixed["until"], until)

    def _kept(self) -> tuple[Ints, dict[int, list[Any]]]:
        """Return the row of each key whose past is one row (-1: none), and the rows of others that are kept."""
        facts, starts, at = self.facts, self.starts, self.at
        rows, keys = len(facts), len(starts) - 1
        if not rows:
            return np.zeros(0, np.int64), {}
        on = np.maximum(facts.e, facts.k)
        gone = np.full(rows, FOREVER) if facts.gone is None else facts.gone
        settled = (on <= at) & (gone == FOREVER)
        alive = gone > np.maximum(facts.k, at)
        key = np.repeat(np.arange(keys), np.diff(starts))
        own = np.arange(rows)
        last = np.maximum.reduceat(np.where(settled, own, -1), starts[:-1])
        kept = alive & (own >= last[key])
        for column in self.base.fills:
            valid = np.asarray(facts.columns.column(column).is_valid())
            filled = np.maximum.reduceat(np.where(settled & valid, own, -1), starts[:-1])
            kept |= alive & valid & (own >= filled[key])
        count = np.add.reduceat(kept.astype(np.int64), starts[:-1])
        plain = (count == 1) & (last >= 0)
        several = np.flatnonzero((count > 0) & ~plain & (self.place >= 0))
        return np.where(plain, last, -1), self._several(several, kept, gone) if len(several) else {}

    def _several(self, keys: Ints, kept: Bools, gone: Ints) -> dict[int, list[Any]]:
        """Return [e, k, gone, values] of the rows of keys, in order."""
        import pyarrow as pa

        of_keys = [np.flatnonzero(kept[self.starts[key] : self.starts[key + 1]]) + self.starts[key] for key in keys]
        rows = np.concatenate(of_keys)
        cells = [
            cell.values(self.facts.columns.column(name).take(pa.array(rows))) for name, cell in self.base.cells.items()
        ]
        values = zip(*cells, strict=True) if cells else iter([()] * len(rows))
        times = (self.facts.e[rows].tolist(), self.facts.k[rows].tolist(), gone[rows].tolist())
        made = [[e, k, end, list(each)] for e, k, end, each in zip(*times, values, strict=True)]
        cuts = np.cumsum([0, *map(len, of_keys)]).tolist()
        return {int(key): made[low:high] for key, low, high in zip(keys, cuts, cuts[1:], strict=False)}

    def _events(self) -> list[list[Any] | None]:
        if not self.base.windows or not len(self.facts):
            return []
        return event_sections(self.base, self.facts, counted_lives(self.facts, self.starts), self.at)

    def _values(self, fixed: NDArray[Any], chosen: Ints) -> list[pa.Array]:
        """Write the values of the chosen rows, and return those of no fixed width."""
        import pyarrow as pa
        import pyarrow.compute as pc

        there = chosen >= 0
        places = pa.array(np.where(there, chosen, 0), mask=~there)
        tails: list[pa.Array] = []
        nulls: list[Bools | None] = []
        for name, cell in self.base.cells.items():
            column = self.facts.columns.column(name).combine_chunks().take(places)
            column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
            missing = np.asarray(column.is_null()) & there if column.null_count else None
            nulls.append(missing)
            if cell.char:
                fixed[f"{self.base.place} {name}"] = cell.fixed(column)
                continue
            dumped = cell.dump(column).fill_null(b"")
            fixed[f"{self.base.place} {name}"] = np.asarray(pc.binary_length(dumped))  # ends are made of lengths later
            tails.append(dumped)
        words = [name for name in fixed.dtype.names or () if name.startswith(f"{self.base.place} nulls ")]
        for name, bits in zip(words, null_bits(nulls, len(fixed), len(words)), strict=True):
            fixed[name] = bits
            fixed["flags"][bits != 0] &= ~np.uint8(CLEAN)
        return tails


def _nothing(group: Group, fixed: NDArray[Any], sections: Mapping[int, Any]) -> Bools:
    """Return which keys have nothing to serve, now or later."""
    found = np.ones(len(fixed), bool)
    for base in group.bases:
        found &= fixed[f"{base.place} e"] == MISSING
    found[list(sections)] = False
    return found


def _joined(fixed: NDArray[Any], tails: Sequence[pa.Array], sections: Mapping[int, Any], layout: Layout) -> Any:
    """Return records as bytes: an array of them, or a list where some have sections."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = np.zeros(len(fixed), np.uint32)
    for placed in layout.places:
        for _, column in placed.tails:
            ends = ends + fixed[f"{placed.base.place} {column}"]
            fixed[f"{placed.base.place} {column}"] = ends
    fixed["sections"] = layout.fixed.size + ends
    if sections:
        fixed["flags"][list(sections)] |= np.uint8(SECTIONS)
    kind = pa.binary(layout.dtype.itemsize)
    whole = pa.FixedSizeBinaryArray.from_buffers(kind, len(fixed), [None, pa.py_buffer(fixed.tobytes())])
    joined = whole.cast(pa.binary())
    if tails:
        joined = pc.binary_join_element_wise(joined, *tails, pa.scalar(b"", pa.binary()))
    if not sections:
        return joined
    dumps = msgspec.msgpack.encode
    more = [b""] * len(fixed)
    for place, of_bases in sections.items():
        more[place] = dumps(of_bases)
    return [head + tail for head, tail in zip(joined.to_pylist(), more, strict=True)]
