"""On-demand features of a request: their expressions over the columns that were just made (PIT 25).

Numbers, strings and booleans go into Polars without a detour, and out again, so that a request pays for one `select` and
little else. What is of other types, of values that are not what their type says, or fails, goes the way of training sets
(`feature_store.kernel.ondemand`); both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.feature_store.kernel.answer import Answer, finished
from dataplat.feature_store.kernel.ondemand import Computed, typed
from dataplat.feature_store.online.raw import natural
from dataplat.lake.schema import parse_type

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dataplat.feature_store.online.plan import ServingPlan

_WORDS: Final = {
    "double": float,
    "float": float,
    "int64": int,
    "int32": int,
    "int16": int,
    "int8": int,
    "uint64": int,
    "uint32": int,
    "uint16": int,
    "uint8": int,
    "string": str,
    "bool": bool,
}
"""Types whose values are the same in records, in Polars and in Python."""

Column: TypeAlias = "Callable[[Sequence[Any]], Any]"


class OnDemand:
    """Computes the on-demand features of a service.

    Attributes:
        kinds: the types of the columns that they read of views.
    """

    def __init__(self, plan: ServingPlan) -> None:
        self.transforms = plan.transforms
        self.kinds = {name: plan.kinds[name] for name in plan.transforms.features}
        self.wanted = {name: parse_type(kind) for name, kind in plan.transforms.request.items()}
        self.exprs = [each.expr for each in plan.transforms.expressions]
        self.defaults = [each.default for each in plan.transforms.expressions]
        columns: dict[str, Column | None] = {
            name: _column(name, kind, check=name in self.wanted) for name, kind in (self.kinds | self.wanted).items()
        }
        self.inputs = None if None in columns.values() else {name: each for name, each in columns.items() if each}
        made = made_kinds(plan)
        self.plain = self.inputs is not None and all(
            str(made[each.name]) in _WORDS for each in plan.transforms.expressions
        )
        self.select = _selecting(self.exprs)

    def values(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], rows: int
    ) -> dict[str, Sequence[Any]]:
        """Return their values."""
        found = self._quickly(raw, request, rows) if self.plain else None
        return self.columns(raw, request)[0] if found is None else found

    def _quickly(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], rows: int
    ) -> dict[str, Sequence[Any]] | None:
        """Return their values; None: it cannot be done so."""
        import polars as pl

        assert self.inputs is not None
        times = 2 if rows == 1 else 1  # as `kernel.ondemand.selected` does
        try:
            given = ((request if name in self.wanted else raw)[name] for name in self.inputs)
            columns = [
                made(values if times == 1 else [*values, *values])
                for values, made in zip(given, self.inputs.values(), strict=True)
            ]
            frame = self.select(columns)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError, KeyError):
            return None
        found: dict[str, Sequence[Any]] = {}
        for series, default in zip(frame.get_columns(), self.defaults, strict=True):
            values = series.to_list()
            if len(values) != rows * times or (default is not None and None in values):
                return None
            found[series.name] = values[:rows]
        return found

    def columns(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]]
    ) -> tuple[dict[str, Sequence[Any]], dict[str, list[int]]]:
        """Return their values, and the codes of their statuses, the way of training sets."""
        found = self._computed(raw, request)
        columns: dict[str, Sequence[Any]] = {series.name: _values(series) for series in found.frame.get_columns()}
        return columns, {name: codes.tolist() for name, codes in found.statuses.items()}

    def _computed(self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]]) -> Computed:
        import polars as pl
        import pyarrow as pa

        given = typed(request, self.transforms.request)
        columns = {name: natural(raw[name], kind) for name, kind in self.kinds.items()}
        columns |= {name: given.column(name) for name in given.schema.names}
        frame = pl.from_arrow(pa.table(columns))
        assert isinstance(frame, pl.DataFrame)
        return self.transforms.compute(frame)


def made_kinds(plan: ServingPlan) -> dict[str, pa.DataType]:
    """Return the types of the columns of a service, in their order: those of a training set."""
    import pyarrow as pa

    nothing = Answer(
        {name: pa.array([], kind) for name, kind in plan.kinds.items()},
        {name: np.zeros(0, np.int8) for name in plan.kinds},
        {name: np.zeros(0, np.int64) for name in plan.kinds},
    )
    spine = pa.table({name: pa.array([], parse_type(kind)) for name, kind in plan.transforms.request.items()})
    made = finished(plan.service, plan.transforms, nothing, spine, statuses=False, ages=False)
    return {field.name: field.type for field in made.schema}


def _column(name: str, kind: pa.DataType, *, check: bool) -> Column | None:
    """Return what makes a column of Polars of values, which are checked if they come from outside; None: by Arrow."""
    import polars as pl
    from polars.datatypes.constructor import polars_type_to_constructor

    word = _WORDS.get(str(kind))
    if word is None:
        return None
    dtype = pl.Series(dtype=_dtype(kind)).dtype
    make = polars_type_to_constructor(dtype)

    def made(values: Sequence[Any]) -> Any:
        if check:
            for value in values:
                if type(value) is not word and value is not None:
                    raise TypeError(name)
        return make(name, values, True)

    return made


def _dtype(kind: pa.DataType) -> Any:
    import polars as pl
    import pyarrow as pa

    found = pl.from_arrow(pa.array([], kind))
    assert isinstance(found, pl.Series)
    return found.dtype


def _selecting(exprs: Sequence[pl.Expr]) -> Callable[[Sequence[Any]], pl.DataFrame]:
    """Return what selects expressions of columns as Polars has them inside.

    What `DataFrame(…).select(…)` does each time, parsing and checking, is half of what a request would wait for. It is asked
    for by names that are Polars' own and may go: then a frame is made as usual.
    """
    try:
        from polars._plr import PyDataFrame
        from polars._utils.wrap import wrap_ldf
        from polars.lazyframe.opt_flags import QueryOptFlags

        parsed = [each._pyexpr for each in exprs]  # noqa: SLF001
        flags = QueryOptFlags._eager()  # noqa: SLF001
        collect = type(wrap_ldf(PyDataFrame([]).lazy().select([])))._collect_eager  # noqa: SLF001
    except (ImportError, AttributeError, TypeError):
        return lambda columns: _frame(columns).select(exprs)
    return lambda columns: collect(wrap_ldf(PyDataFrame(columns).lazy().select(parsed)), optimizations=flags)


def _frame(columns: Sequence[Any]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame([pl.Series._from_pyseries(each) for each in columns])  # noqa: SLF001


def _values(series: pl.Series) -> list[Any]:
    """Return values as records have them."""
    import pyarrow as pa

    column = series.to_arrow()
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    found: list[Any] = column.to_pylist()
    return found
