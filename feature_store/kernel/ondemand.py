"""On-demand features: functions that return Polars expressions, over `view__feature` and the columns of a request (PIT 25).

The function is called once, when a service is made. What it is given answers `t.x` with a column; a name that two inputs
share is an error unless the input is named: `t["view"].x`, `t["request"].x`, `t["on_demand"].x`. An on-demand feature
among the inputs is its expression, so chains are one expression, too, and all of a service's are one `select`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat.errors import ConfigError, DataplatError, SchemaError
from dataplat.feature_store.definitions import FeatureService, FeatureView, OnDemand, Request
from dataplat.feature_store.status import Status
from dataplat.lake.schema import did_you_mean, parse_type

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

REQUEST: Final = "request"
ON_DEMAND: Final = "on_demand"


@dataclass(frozen=True, slots=True)
class Expression:
    """An on-demand feature, made.

    Attributes:
        expr: under its name.
        features: the columns `view__feature` that it reads, sorted.
        request: the columns of the request that it reads, sorted, and their types.
        default: what is served where it is null.
    """

    name: str
    expr: pl.Expr
    features: tuple[str, ...]
    request: Mapping[str, str]
    default: Any = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All that it reads."""
        return (*self.features, *self.request)


@dataclass(frozen=True, slots=True)
class Computed:
    """On-demand features of some rows: a column each, and the codes of `Status` of its cells."""

    frame: pl.DataFrame
    statuses: Mapping[str, NDArray[np.int8]]


def expression(feature: OnDemand) -> Expression:
    """Call the function of an on-demand feature, and return the expression with what it reads.

    Raises:
        ConfigError: It fails, returns none, reads what is not among its inputs, or two inputs share a name that it uses.
    """
    import polars as pl

    inputs = _Inputs(feature)
    try:
        made = feature.function(inputs)
    except DataplatError:
        raise
    except Exception as error:
        raise ConfigError(f"{feature.name}: its function failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, pl.Expr):
        raise ConfigError(
            f"{feature.name} returns {type(made).__name__}; an on-demand feature returns a Polars expression"
        )
    if made.meta.has_multiple_outputs():
        raise ConfigError(f"{feature.name} returns an expression of several columns; make each a feature")
    return _read(feature, made, inputs)


def _read(feature: OnDemand, made: pl.Expr, inputs: _Inputs) -> Expression:
    features, request = inputs.features, inputs.request
    roots = sorted(set(made.meta.root_names()))
    for root in roots:
        if root not in features and root not in request:
            raise ConfigError(
                f"{feature.name} reads {root!r}, which is not among its inputs{did_you_mean(root, [*features, *request])}"
            )
    if not roots:
        raise ConfigError(f"{feature.name} reads none of its inputs; a constant is no feature")
    return Expression(
        feature.name,
        made.alias(feature.name),
        tuple(root for root in roots if root in features),
        {root: request[root] for root in roots if root in request},
        feature.default,
    )


class _Inputs:
    """What a function is given: `t.x` is a column of one of its inputs, `t["view"].x` of that one."""

    def __init__(self, feature: OnDemand) -> None:
        self._feature = feature.name
        self._owners: dict[str, dict[str, pl.Expr]] = {}
        self.features: set[str] = set()
        self.request: dict[str, str] = {}
        for each in feature.inputs:
            self._add(each)
        if shared := self.features & self.request.keys():
            raise ConfigError(f"{feature.name}: {min(shared)!r} is a feature and a column of the request; rename that")

    def _add(self, each: FeatureView | Request | OnDemand) -> None:
        import polars as pl

        if isinstance(each, FeatureView):
            names = {one.feature: f"{each.name}__{one.feature}" for one in each.features}
            self.features.update(names.values())
            self._own(each.name, {name: pl.col(column) for name, column in names.items()})
        elif isinstance(each, Request):
            for column, kind in each.columns.items():
                self._add_request(column, kind)
            self._own(REQUEST, {column: pl.col(column) for column in each.columns})
        else:
            inner = expression(each)
            self.features.update(inner.features)
            for column, kind in inner.request.items():
                self._add_request(column, kind)
            expr = inner.expr if inner.default is None else inner.expr.fill_null(pl.lit(inner.default))
            self._own(ON_DEMAND, {each.name: expr})

    def _add_request(self, column: str, kind: str) -> None:
        if column == "*" or column.startswith("^"):
            raise ConfigError(f"{self._feature}: a column of a request cannot be called {column!r}")
        parse_type(kind)
        if self.request.setdefault(column, kind) != kind:
            raise ConfigError(f"{self._feature}: the request's {column!r} is {self.request[column]}, and {kind}, too")

    def _own(self, owner: str, columns: dict[str, pl.Expr]) -> None:
        self._owners.setdefault(owner, {}).update(columns)

    def __getattr__(self, name: str) -> pl.Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        owners = [owner for owner, columns in self._owners.items() if name in columns]
        if not owners:
            every = sorted({column for columns in self._owners.values() for column in columns})
            raise ConfigError(f"{self._feature}: none of its inputs has {name!r}{did_you_mean(name, every)}")
        if len(owners) > 1:
            ways = " or ".join(f't["{owner}"].{name}' for owner in owners)
            raise ConfigError(f"{self._feature}: {' and '.join(owners)} both have {name!r}; write {ways}")
        return self._owners[owners[0]][name]

    def __getitem__(self, owner: str) -> _Input:
        if owner not in self._owners:
            raise ConfigError(f"{self._feature} has no input {owner!r}{did_you_mean(owner, sorted(self._owners))}")
        return _Input(self._feature, owner, self._owners[owner])


class _Input:
    """The columns of one input; `t["view"]["x"]` is for names that are no words of Python."""

    def __init__(self, feature: str, owner: str, columns: Mapping[str, pl.Expr]) -> None:
        self._feature, self._owner, self._columns = feature, owner, columns

    def __getattr__(self, name: str) -> pl.Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> pl.Expr:
        if name not in self._columns:
            known = sorted(self._columns)
            raise ConfigError(f"{self._feature}: {self._owner} has no {name!r}{did_you_mean(name, known)}")
        return self._columns[name]


@dataclass(frozen=True, slots=True)
class Transforms:
    """The on-demand features of a service, made once."""

    expressions: tuple[Expression, ...]
    request: Mapping[str, str]

    @classmethod
    def of(cls, service: FeatureService) -> Transforms:
        """Make those of a service.

        Raises:
            ConfigError: As `expression`, and where two of them want one column of the request in different types.
        """
        made = tuple(expression(each) for each in service.features if isinstance(each, OnDemand))
        request: dict[str, str] = {}
        for each in made:
            for column, kind in each.request.items():
                if request.setdefault(column, kind) != kind:
                    raise ConfigError(
                        f"service {service.name}: {each.name} wants the request's {column!r} as {kind}, another feature as {request[column]}"
                    )
        return cls(made, request)

    @property
    def features(self) -> tuple[str, ...]:
        """The columns `view__feature` that they read, sorted."""
        return tuple(sorted({name for each in self.expressions for name in each.features}))

    def compute(self, inputs: pl.DataFrame) -> Computed:
        """Compute all of them, in one `select`; a row that one of them fails on is an error of that cell alone."""
        import polars as pl

        if not self.expressions:
            return Computed(pl.DataFrame(), {})
        try:
            frame = selected(inputs, [each.expr for each in self.expressions])
        except pl.exceptions.PolarsError:
            return self._apart(inputs)
        columns = [_filled(each, frame.to_series(at), None) for at, each in enumerate(self.expressions)]
        return _computed(columns)

    def _apart(self, inputs: pl.DataFrame) -> Computed:
        """Compute each by itself, and of those that fail each half by itself, down to the rows that they fail on."""
        columns = []
        for each in self.expressions:
            failed = np.zeros(inputs.height, bool)
            columns.append(_filled(each, isolated(each.expr, inputs, failed), failed))
        return _computed(columns)


def selected(inputs: pl.DataFrame, exprs: Sequence[pl.Expr]) -> pl.DataFrame:
    """Return expressions of rows, in one piece; of one row as if it were there twice.

    Polars divides the numbers of a piece by a constant as products with its inverse, but a single one as it is (2.1): bits differ.
    """
    import polars as pl

    if inputs.height != 1:
        return inputs.rechunk().select(exprs)
    twice = [pl.concat([column, column], rechunk=True) for column in inputs.get_columns()]
    return pl.DataFrame(twice).select(exprs).head(1)


def isolated(expr: pl.Expr, inputs: pl.DataFrame, failed: NDArray[np.bool_]) -> pl.Series:
    """Return an expression's values; rows that it fails on are null, and marked in `failed`."""
    import polars as pl

    try:
        return selected(inputs, [expr]).to_series()
    except pl.exceptions.PolarsError:
        if inputs.height <= 1:
            failed[:] = True
            empty = inputs.clear().select(expr).to_series()
            return empty.extend_constant(None, inputs.height)
    half = inputs.height // 2
    first = isolated(expr, inputs[:half], failed[:half])
    return pl.concat([first, isolated(expr, inputs[half:], failed[half:])])


def _filled(
    made: Expression, values: pl.Series, failed: NDArray[np.bool_] | None
) -> tuple[pl.Series, NDArray[np.int8]]:
    """Return values with the default where they are null, and statuses."""
    import polars as pl

    statuses = np.full(len(values), Status.PRESENT, np.int8)
    if values.null_count():
        nulls = values.is_null().to_numpy()
        if failed is not None:
            nulls = nulls & ~failed
            statuses[failed] = Status.ERROR
        statuses[nulls] = Status.NULL if made.default is None else Status.DEFAULTED
        if made.default is not None:
            default = pl.Series([made.default], dtype=values.dtype)
            values = values.zip_with(pl.Series(~nulls), default.new_from_index(0, len(values)))
    return values, statuses


def _computed(columns: Sequence[tuple[pl.Series, NDArray[np.int8]]]) -> Computed:
    import polars as pl

    frame = pl.DataFrame([series for series, _ in columns])
    return Computed(frame, {series.name: statuses for series, statuses in columns})


def typed(values: Mapping[str, Any], types: Mapping[str, str], what: str = "the request") -> pa.Table:
    """Return the columns of a request in their declared types; others are left out.

    Args:
        values: by column, a sequence of Python values or an Arrow array.
        types: those that are needed, as `Request` declares them.
        what: for errors.

    Raises:
        SchemaError: A column is missing, or a value does not fit; both are named.
    """
    import pyarrow as pa

    columns = {}
    for column, kind in types.items():
        if column not in values:
            raise SchemaError(f"{what} has no {column!r} ({kind}){did_you_mean(column, list(values))}")
        columns[column] = _typed(values[column], parse_type(kind), f"{what}: {column!r}")
    return pa.table(columns)


def _typed(values: Any, kind: pa.DataType, what: str) -> pa.Array:
    import pyarrow as pa

    try:
        if isinstance(values, pa.Array | pa.ChunkedArray):
            return values.cast(kind)
        if pa.types.is_integer(kind):  # Arrow would cut them off
            for at, value in enumerate(values):
                if isinstance(value, float) and not value.is_integer():
                    raise SchemaError(f"{what}, row {at}: {value!r} is no {kind}")
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        for at, value in enumerate(values):
            try:
                _ = value.cast(kind) if isinstance(value, pa.Scalar) else pa.scalar(value, kind)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                shown = value.as_py() if isinstance(value, pa.Scalar) else value
                raise SchemaError(f"{what}, row {at}: {shown!r} is no {kind}") from error
        raise SchemaError(f"{what} holds no {kind}: {error}") from error
