"""A Polars expression as a tree of JSON: checked to look at one row at a time, its time literals fitted, understood.

The tree is what `Expr.meta.serialize(format="json")` writes. Polars says of nearly everything, `a.shift(1)` and
`a - a.mean()` included, that it is separable by rows (2.1), so what may stand in a predicate is listed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any, Final, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from dataplat.errors import PredicateError
from dataplat.lake import _intervals as intervals
from dataplat.lake._where_literals import TEMPORAL, Moment, TimeColumn, unit_of

Node: TypeAlias = Any
"""`{"Column": "a"}`, `{"BinaryExpr": {"left": …, "op": "Gt", "right": …}}`, …"""

_NODES: Final = frozenset({"Column", "Literal", "BinaryExpr", "Function", "Cast", "Ternary", "Alias"})
_BY_ROW: Final = {  # families of functions and which members look at one row only
    "Boolean": frozenset(
        [
            "IsNull",
            "IsNotNull",
            "IsFinite",
            "IsInfinite",
            "IsNan",
            "IsNotNan",
            "IsBetween",
            "IsIn",
            "IsClose",
            "Not",
            "AnyHorizontal",
            "AllHorizontal",
        ]
    ),
}
_NOT_BY_ROW: Final = {"StringExpr": frozenset({"ConcatVertical"})}
_FAMILIES: Final = frozenset(
    {"StringExpr", "TemporalExpr", "BinaryExpr", "ListExpr", "ArrayExpr", "StructExpr", "Sql", "Pow"}
)
_FUNCTIONS: Final = frozenset(
    [
        "Abs",
        "Negate",
        "FillNull",
        "Coalesce",
        "AsStruct",
        "RepeatBy",
        "MaxHorizontal",
        "MinHorizontal",
        "SumHorizontal",
        "MeanHorizontal",
        "Clip",
        "Round",
        "RoundSF",
        "Floor",
        "Ceil",
        "Sign",
        "Sqrt",
        "Cbrt",
        "Exp",
        "Log",
        "Log1p",
        "Trigonometry",
        "Atan2",
        "Replace",
        "ReplaceStrict",
        "Hash",
    ]
)
_TESTS: Final = {"Eq": "eq", "Lt": "lt", "LtEq": "le", "Gt": "gt", "GtEq": "ge", "NotEq": "ne"}
_COMPARISONS: Final = frozenset({*_TESTS, "EqValidity", "NotEqValidity"})
_MIRROR: Final = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}


def tree_of(expr: pl.Expr) -> Node:
    """Return the tree of an expression; raise `PredicateError` if it has none (Python functions in it)."""
    try:
        return json.loads(expr.meta.serialize(format="json"))
    except (PolarsError, ValueError, TypeError) as error:
        raise PredicateError(f"the expression cannot be stored: {error}") from error


def expression(node: Node) -> pl.Expr:
    """Return the expression of a tree that `check` let pass; raise `PredicateError` if Polars cannot read it."""
    try:
        return pl.Expr.deserialize(BytesIO(json.dumps(node).encode()), format="json")
    except PolarsError as error:
        raise PredicateError(
            "the expression cannot be stored and read again: it was written by another version of Polars, or holds NaN "
            "or infinity (use is_nan() and is_infinite())"
        ) from error


def _parts(node: Node) -> tuple[str, Any]:
    if isinstance(node, dict) and len(node) == 1:
        return next(iter(node.items()))
    return str(node) if isinstance(node, str) else "", None


def _function(body: Any) -> tuple[str, str]:
    """Return family and member of a function: `{"Boolean": "IsNull"}`, `{"Boolean": {"IsIn": …}}`, `"Abs"`."""
    name, member = _parts(body["function"])
    if isinstance(member, dict) and len(member) == 1:
        member = next(iter(member))
    return name, member if isinstance(member, str) else ""


def children(node: Node) -> Iterator[Node]:
    """Yield the operands of a node."""
    kind, body = _parts(node)
    match kind:
        case "BinaryExpr":
            yield from (body["left"], body["right"])
        case "Function":
            yield from body["input"]
        case "Cast":
            yield body["expr"]
        case "Ternary":
            yield from (body["predicate"], body["truthy"], body["falsy"])
        case "Alias":
            yield body[0]


def check(node: Node) -> None:
    """Raise `PredicateError` unless every node looks at one row at a time and is known to be harmless."""
    kind, body = _parts(node)
    if kind not in _NODES:
        raise PredicateError(
            f"a predicate looks at one row at a time, and {kind or 'this expression'} does not; {_HINT}"
        )
    if kind == "Function":
        name, member = _function(body)
        by_row = member in _BY_ROW[name] if name in _BY_ROW else name in _FAMILIES or name in _FUNCTIONS
        if not by_row or member in _NOT_BY_ROW.get(name, ()):
            raise PredicateError(
                f"a predicate looks at one row at a time, and {member or name} does not (or is not known to); {_HINT}"
            )
        if member == "IsIn" and has_columns(body["input"][1]):
            raise PredicateError(
                "`in` compares with listed values, not with another column; to look into a list use contains"
            )
    for child in children(node):
        check(child)


_HINT: Final = "use comparisons, between, in, like, is null, and, or, not, and functions of a row's own values"


def columns(node: Node) -> Iterator[str]:
    """Yield the names of the columns in a tree, each as often as it occurs."""
    kind, body = _parts(node)
    if kind == "Column":
        yield body
    for child in children(node):
        yield from columns(child)


def has_columns(node: Node) -> bool:
    """Return whether any column occurs in a tree."""
    return next(columns(node), None) is not None


@dataclass(frozen=True, slots=True)
class Fitter:
    """Rewrites the literals that are compared with times; `empty` is a frame of the columns without rows."""

    empty: pl.DataFrame

    def fit(self, node: Node) -> Node:
        """Return the tree with literals of the column's own type."""
        kind, body = _parts(node)
        match kind:
            case "BinaryExpr":
                left, right = self.fit(body["left"]), self.fit(body["right"])
                if body["op"] in _COMPARISONS:
                    left, right = self._pair(left, right)
                return {kind: {**body, "left": left, "right": right}}
            case "Function":
                return {kind: {**body, "input": self._inputs(body)}}
            case "Cast":
                return {kind: {**body, "expr": self.fit(body["expr"])}}
            case "Ternary":
                return {kind: {key: self.fit(child) for key, child in body.items()}}
            case "Alias":
                return {kind: [self.fit(body[0]), body[1]]}
        return node

    def _inputs(self, body: Any) -> list[Node]:
        inputs = [self.fit(child) for child in body["input"]]
        name, member = _function(body)
        compares = member in {"IsBetween", "IsIn"} or (name == "Sql" and _sql_test(body) in _COMPARISONS)
        if compares and len(inputs) > 1:
            fitted_pairs = [self._pair(inputs[0], other) for other in inputs[1:]]
            inputs = [fitted_pairs[0][0], *(pair[1] for pair in fitted_pairs)]
        return inputs

    def _pair(self, left: Node, right: Node) -> tuple[Node, Node]:
        if has_columns(left) and not has_columns(right):
            return left, self._literal(right, left)
        if has_columns(right) and not has_columns(left):
            return self._literal(left, right), right
        return left, right

    def _literal(self, literal: Node, other: Node) -> Node:
        """Return `literal` in the type of `other`, if that is a time."""
        try:
            dtype = self.empty.select(expression(other)).dtypes[0]
        except PolarsError:
            return literal  # what is wrong with it is said when the whole is tried
        if not isinstance(dtype, TEMPORAL):
            return literal
        given = constant(literal)
        if given is None or given.dtype == dtype:
            return literal
        if is_list := isinstance(given.dtype, pl.List):
            given = given.explode(empty_as_null=False)
        column = TimeColumn(next(columns(other)), dtype)
        plain = pl.Series([column.fitted(value) for value in _values(given)], dtype=pl.Int64)
        if is_list:
            return tree_of(pl.lit(pl.Series([_as(plain, dtype)])))
        if _parts(literal)[0] == "Literal" and "Series" in literal["Literal"]:
            return tree_of(pl.lit(_as(plain, dtype)))
        return tree_of(pl.lit(plain[0], dtype=pl.Int64).cast(_physical(dtype)).cast(dtype))


def _sql_test(body: Any) -> str:
    test = body["function"].get("Sql")
    return str(test.get("Binary", "")) if isinstance(test, dict) else ""


def _physical(dtype: pl.DataType) -> pl.DataType:
    return pl.Int32() if isinstance(dtype, pl.Date) else pl.Int64()


def _as(plain: pl.Series, dtype: pl.DataType) -> pl.Series:
    return plain.cast(_physical(dtype)).cast(dtype)


def _values(series: pl.Series) -> list[str | Moment | None]:
    dtype = series.dtype
    if isinstance(dtype, TEMPORAL):
        return [None if value is None else Moment(value, dtype) for value in series.to_physical().to_list()]
    if series.dtype in {pl.String, pl.Null}:
        return series.to_list()
    raise PredicateError(
        f"{series.dtype} cannot be compared with a date or time; write it as text such as '2024-12-31'"
    )


def constant(node: Node) -> pl.Series | None:
    """Return what a tree without columns evaluates to, or None if it cannot be evaluated."""
    try:
        return pl.select(expression(node)).to_series()
    except PolarsError:
        return None


def understood(node: Node, dtypes: Mapping[str, pl.DataType]) -> intervals.Predicate:
    """Return the predicate of a checked and fitted tree, with `Unknown` for what is not understood."""
    kind, body = _parts(node)
    match kind:
        case "BinaryExpr" if body["op"] in {"And", "Or", "LogicalAnd", "LogicalOr"}:
            pair = understood(body["left"], dtypes), understood(body["right"], dtypes)
            return intervals.And(*pair) if "And" in body["op"] else intervals.Or(*pair)
        case "BinaryExpr" if body["op"] in _TESTS:
            return _comparison(body["left"], _TESTS[body["op"]], body["right"])
        case "Function":
            return _understood_function(body, dtypes)
        case "Cast" if body["dtype"] == {"Literal": "Boolean"}:
            return understood(body["expr"], dtypes)
        case "Alias":
            return understood(body[0], dtypes)
        case "Column" if dtypes.get(body) == pl.Boolean:
            return intervals.IsTrue(body)
        case "Literal":
            value = constant(node)
            if value is not None and value.dtype in {pl.Boolean, pl.Null} and len(value) == 1:
                return intervals.Constant(value[0])
    return intervals.Unknown()


def _understood_function(body: Any, dtypes: Mapping[str, pl.DataType]) -> intervals.Predicate:
    (name, member), inputs = _function(body), body["input"]
    if (name, member) == ("Boolean", "Not"):
        return intervals.Not(understood(inputs[0], dtypes))
    if name == "Sql" and _sql_test(body) in _TESTS:
        return _comparison(inputs[0], _TESTS[_sql_test(body)], inputs[1])
    kind, column = _parts(inputs[0])
    return _about_column(column, name, member, body) if kind == "Column" else intervals.Unknown()


def _about_column(column: str, name: str, member: str, body: Any) -> intervals.Predicate:
    match name, member:
        case "Boolean", "IsNull":
            return intervals.IsNull(column)
        case "Boolean", "IsNotNull":
            return intervals.Not(intervals.IsNull(column))
        case (("Boolean" | "Sql"), "IsIn"):
            return _membership(column, body["input"][1], body)
        case "Boolean", "IsBetween":
            return _between(column, body)
        case "StringExpr", "StartsWith" if isinstance(prefix := _scalar(body["input"][1]), str):
            return intervals.StartsWith(column, prefix)
    return intervals.Unknown()


def _between(column: str, body: Any) -> intervals.Predicate:
    _, low, high = body["input"]
    closed = body["function"]["Boolean"]["IsBetween"]["closed"]
    lower = "ge" if closed in {"Both", "Left"} else "gt"
    upper = "le" if closed in {"Both", "Right"} else "lt"
    return intervals.And(_comparison({"Column": column}, lower, low), _comparison({"Column": column}, upper, high))


def _comparison(left: Node, test: str, right: Node) -> intervals.Predicate:
    if _parts(left)[0] != "Column":
        left, right, test = right, left, _MIRROR[test]
    if _parts(left)[0] != "Column" or has_columns(right):
        return intervals.Unknown()
    value = _scalar(right)
    if value is _OPAQUE:
        return intervals.Unknown()
    column = _parts(left)[1]
    if test == "ne":
        return intervals.Not(intervals.Compare(column, "eq", value))
    return intervals.Compare(column, test, value)


def _membership(column: str, literal: Node, body: Any) -> intervals.Predicate:
    series = constant(literal)
    name, _ = _function(body)
    if series is None or body["function"][name]["IsIn"].get("nulls_equal"):
        return intervals.Unknown()
    if isinstance(series.dtype, pl.List):
        series = series.explode(empty_as_null=False)
    values = [_understood_value(value, series.dtype) for value in _raw(series)]
    if any(value is _OPAQUE for value in values):
        return intervals.Unknown()
    return intervals.IsIn(tuple(intervals.Compare(column, "eq", value) for value in values))


_OPAQUE: Final = object()


def _scalar(node: Node) -> Any:
    series = constant(node)
    if series is None or len(series) != 1:
        return _OPAQUE
    return _understood_value(_raw(series)[0], series.dtype)


def _raw(series: pl.Series) -> list[Any]:
    return (series.to_physical() if isinstance(series.dtype, TEMPORAL) else series).to_list()


def _understood_value(value: Any, dtype: pl.DataType) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(dtype, TEMPORAL):
        return intervals.Instant(_family(dtype), value * unit_of(dtype))
    if isinstance(dtype, pl.Decimal):
        return Fraction(value)
    return value if isinstance(value, (int, float)) else _OPAQUE


def _family(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "timestamp_tz" if dtype.time_zone else "timestamp"
    return {pl.Date: "date", pl.Time: "time", pl.Duration: "duration"}[type(dtype)]  # type: ignore[index]
