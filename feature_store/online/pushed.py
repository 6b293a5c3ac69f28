"""Pushed rows as bytes: what the overlay of an online store holds until a snapshot does (PIT 9).

    for row in rows(plan, view, table):
        Pushed(row.key, idempotency[row.place], row.e, row.k, row.data)

They are read by `feature_store.online.state`, which puts them among the rows of a record in the order of PIT 6: so the newest
`(e, k)` is served, whatever order they came in, and each is an event of windows, or replaces the event of its row key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.order import unordered
from dataplat.feature_store.online.plan import Base, ServingPlan, identity
from dataplat.feature_store.online.record import keys_of
from dataplat.feature_store.online.state import Pushed

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.kernel.facts import Facts


class Row(NamedTuple):
    """A pushed row.

    Attributes:
        place: its place among those that were given.
        key: of the record that it belongs to.
        e: its event time.
        k: from when it can be served.
        data: the row.
    """

    place: int
    key: bytes
    e: int
    k: int
    data: bytes


def rows(plan: ServingPlan, view: FeatureView, table: pa.Table, k: Sequence[int] | None = None) -> list[Row]:
    """Return rows that are pushed to a view, for one service; none where it does not use the view.

    Rows that do not pass the view's `where`, or of which a value of the key is null, are left out: nobody asks for them.

    Args:
        plan: of the service.
        view: the view, or an alias of it.
        table: rows, with all columns that the view reads of its source.
        k: when each was known, microseconds, without the delay, where the rows do not say; not looked at where rows of
            the view are known when they happen.

    Raises:
        SchemaError: A column is missing, or a value is of another type; column and value are named.
    """
    base = base_of(plan, view)
    if base is None or not table.num_rows:
        return []
    stamps = np.asarray(k, np.int64) if base.known and k is not None else None
    # `gone` is carried along: here by the places of rows
    found = unordered(base.view, table, k=stamps, gone=np.arange(table.num_rows))
    assert found.gone is not None
    places = (found.gone - base.view.view.delay).tolist()
    keys = keys_of(plan.groups[base.group], found.keys, len(found)).to_pylist()
    made = zip(places, keys, found.e.tolist(), found.k.tolist(), _packed(base, found), strict=True)
    return sorted(Row(*each) for each in made if each[1] is not None)


def row(plan: ServingPlan, view: FeatureView, values: Mapping[str, Any], k: int) -> tuple[bytes, bytes] | None:
    """Return key and bytes of one pushed row, of Arrow scalars or typed values; None where nobody asks for it."""
    import pyarrow as pa

    found = rows(plan, view, pa.table({name: pa.array([value]) for name, value in values.items()}), [k])
    return (found[0].key, found[0].data) if found else None


def base_of(plan: ServingPlan, view: FeatureView) -> Base | None:
    """Return what a service keeps of a view; None: it does not use it."""
    wanted = identity(view)
    return next((base for base in plan.bases if identity(base.view) == wanted), None)


def _packed(base: Base, found: Facts) -> list[bytes]:
    columns = {name: found.columns.column(name) for name in (*base.cells, *base.events)}
    cells = _rows([cell.values(columns[name]) for name, cell in base.cells.items()], len(found))
    events = _rows([cell.values(columns[name]) for name, cell in base.events.items()], len(found))
    named: list[bytes | None] = [None] * len(found)
    if found.event is not None:
        named = [each.tobytes() if each.any() else None for each in found.event]
    encode = msgspec.msgpack.encode
    return [
        encode(Pushed(base.place, e, k, event, list(one), list(other)))
        for e, k, event, one, other in zip(found.e.tolist(), found.k.tolist(), named, cells, events, strict=True)
    ]


def _rows(columns: Sequence[list[Any]], length: int) -> list[tuple[Any, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * length
