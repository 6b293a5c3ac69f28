"""A source tried before anything is applied: the columns that a view reads are there, and its features can be computed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dataplat.errors import DataplatError
from dataplat.feature_store.definitions import Field
from dataplat.feature_store.kernel.answer import answer
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.locality import prove
from dataplat.feature_store.kernel.ondemand import Expression
from dataplat.feature_store.kernel.order import columns_of, condition
from dataplat.feature_store.online.plan import types_of
from dataplat.lake.schema import did_you_mean, type_to_json

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._sources import ViewSource
    from dataplat.feature_store.definitions import FeatureView
    from dataplat.feature_store.kernel.facts import Facts

_ROWS: Final = 50
"""Rows of which features are computed, as if they were asked for when these became known."""


def missing(view: FeatureView, schema: pa.Schema) -> list[str]:
    """Return, in words, which columns a view reads that its source has not, or in a type that nothing can be kept of."""
    names, kept = schema.names, types_of({"": schema})[""]
    found = []
    for column in columns_of(view):
        if column not in names:
            found.append(f"its source has no column {column!r}{did_you_mean(column, names)}")
        elif names.count(column) > 1:
            found.append(f"its source has several columns {column!r}: name those that are not meant otherwise")
        elif column not in kept:
            found.append(f"{column} holds {schema.field(column).type}, which cannot be kept: cast it to another type")
    return [f"view {view.name}: {each}" for each in found]


def uncomputable(source: ViewSource) -> list[str]:
    """Return, in words, which features of a view cannot be computed of its rows: each is told, not only the first.

    A column may hold what a function cannot be of, a default be of another type.
    """
    view = source.view
    facts, ask = _asked(source)
    if _fault(view, facts, ask) is None:
        return _cut(view, source)
    found = (_fault(view[[each.feature]], facts, ask) for each in view.features)
    return list(dict.fromkeys(each for each in found if each is not None))


def _fault(view: FeatureView, facts: Facts, ask: Ask) -> str | None:
    try:
        answer(view, facts, ask)
    except DataplatError as error:
        return said(view, error)
    return None


def said(view: FeatureView, error: DataplatError) -> str:
    """Return what is wrong with a view, with its name, in one line."""
    told = first_line(error)
    return told if told.startswith((f"view {view.name}: ", f"{view.name}.")) else _named(view, told)


def first_line(error: DataplatError) -> str:
    """Return what an error says, without what Polars says of expressions and contexts behind it."""
    return str(error).strip().split("\n", 1)[0]


def _named(view: FeatureView, told: str) -> str:
    return f"view {view.name}: {told.removeprefix(f'{view.name}: ')}"


def _cut(view: FeatureView, source: ViewSource) -> list[str]:
    """Return which defaults Arrow would make others of in silence: 5.5 of a column of whole numbers."""
    import pyarrow as pa

    found = []
    for each in view.features:
        if isinstance(each, Field) and isinstance(each.default, float):
            kind = source.schema.field(each.column).type
            if pa.types.is_integer(kind):
                found.append(
                    f"view {view.name}: the default of {each.feature} is {each.default!r}, and {each.column} holds {kind}"
                )
    return found


def proven(view: FeatureView, source: ViewSource) -> None:
    """Raise `ConfigError` unless the condition of a view looks at one row at a time: rows are read in parts."""
    if view.view.where is None:
        return
    made = condition(view.view.where)
    columns = tuple(dict.fromkeys(made.meta.root_names()))
    if not columns:
        return
    types = {name: type_to_json(source.schema.field(name).type) for name in columns}
    prove(Expression("where=", made.alias("where="), columns, {}), types)


def _asked(source: ViewSource) -> tuple[Facts, Ask]:
    """Return questions of the times at which some rows became known, the first of before all, and the facts of their keys."""
    some = next((part for part in source.parts if len(part)), None)
    if some is None:
        none = np.zeros(_ROWS, np.uint64)
        return source.whole, Ask(none, none, None, np.zeros(_ROWS, np.int64))
    rows = np.linspace(0, len(some) - 1, _ROWS).astype(np.int64)
    keys = np.unique(np.column_stack((some.high[rows], some.low[rows])), axis=0)
    facts = source.of_keys(*(np.ascontiguousarray(keys[:, lane]) for lane in (0, 1)))
    t = np.maximum(some.e, some.k)[rows]
    t[0] = min(int(each.min()) for each in (some.e, some.k, facts.e, facts.k) if len(each)) - 1
    return facts, Ask(some.high[rows], some.low[rows], None if some.keyless is None else some.keyless[rows], t)
