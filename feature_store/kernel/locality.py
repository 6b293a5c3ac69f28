"""Proof that an on-demand feature looks at one row at a time (PIT 25): rows whole, split and shuffled give the same bits.

Polars itself says of `a - a.mean()` that it is separable by rows (2.1), so it is not asked. First the expression's tree:
what gathers, moves or aggregates rows is refused by name, as are Python functions, whose code no hash of a service can
hold. What is left is tried: on drawn rows of the types that it reads, tame ones and wild ones (null, NaN, infinite, the
largest, empty), whole, twice, in pieces, row by row and in other orders.
"""

from __future__ import annotations

import json
import math
import string
from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat.errors import ConfigError
from dataplat.feature_store.kernel.ondemand import Expression, isolated
from dataplat.lake.schema import JsonType, parse_type

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

ROWS: Final = 37  # not a multiple of any width in which processors add
CUTS: Final = (1, 8, 17, 36)
_PYTHON: Final = frozenset({"AnonymousFunction", "AnonymousAgg"})
_ACROSS: Final = frozenset({"Agg", "Explode", "Filter", "Gather", "Len", "Over", "Rolling", "Slice", "Sort", "SortBy"})
_WILD: Final = (math.nan, math.inf, -math.inf, -0.0, 0.0, 1e30)
_INSIDE_LISTS: Final = "Eval"


def prove(made: Expression, types: Mapping[str, JsonType], *, seed: int = 25) -> None:
    """Raise `ConfigError` unless an expression is row-local.

    Args:
        made: the expression.
        types: those of the columns that it reads, as `dataplat.lake.schema` spells them.
        seed: of the rows that are drawn.
    """
    import polars as pl

    _check_tree(made)
    rng = Random(seed)  # noqa: S311 - not a key
    for wild in (False, True):
        frame = _drawn({column: types[column] for column in made.columns}, wild=wild, rng=rng)
        try:
            whole = _told(made, frame)
            ways = list(_ways(made, frame, rng))
        except pl.exceptions.PolarsError as error:
            raise ConfigError(f"{made.name} cannot be computed of the types of its inputs: {error}") from error
        for how, found in ways:
            if found != whole:
                raise ConfigError(
                    f"{made.name} is not row-local: {how} it gives other values than of all rows at once"
                    f"{_first(whole, found, frame)}; an on-demand feature looks at one row at a time"
                )
    _check_default(made, frame)


def _first(whole: list[str], found: list[str], frame: pl.DataFrame) -> str:
    """Return the first difference, for people."""
    for at, (one, other) in enumerate(zip(whole, found, strict=False)):
        if one != other and len(whole) == len(found):
            return f", {other} and {one} for {frame.row(at, named=True)}"
    return f", {len(found)} of them for {frame.height} rows"


def _ways(made: Expression, frame: pl.DataFrame, rng: Random) -> Iterator[tuple[str, list[str]]]:
    """Yield the values of the same rows, computed in other ways, in the rows' order."""
    yield "a second time", _told(made, frame)
    for cut in CUTS:
        yield f"split after row {cut}", _told(made, frame[:cut]) + _told(made, frame[cut:])
    for what, rows in (("as views", slice), ("as copies", lambda at, end: list(range(at, end)))):
        yield (
            f"row by row, {what}",
            [text for at in range(frame.height) for text in _told(made, frame[rows(at, at + 1)])],
        )
    for _ in range(3):
        order = list(range(frame.height))
        rng.shuffle(order)
        found = dict(zip(order, _told(made, frame[order]), strict=False))
        yield "shuffled", [found.get(at, "") for at in range(frame.height)]
    yield "twice one after the other", _told(made, frame.vstack(frame))[frame.height :]


def _told(made: Expression, frame: pl.DataFrame) -> list[str]:
    """Return the values as text that differs where bits do, `error` for rows that it fails on."""
    failed = np.zeros(frame.height, bool)
    values = isolated(made.expr, frame, failed).to_list()
    if len(values) != frame.height:
        return [f"{len(values)} values"]
    return ["error" if bad else repr(value) for value, bad in zip(values, failed, strict=True)]


def _check_tree(made: Expression) -> None:
    try:
        tree = json.loads(made.expr.meta.serialize(format="json"))
    except Exception as error:
        raise ConfigError(f"{made.name} cannot be stored: {error}") from error
    for kind in _kinds(tree):
        if kind in _PYTHON:
            raise ConfigError(f"{made.name} calls a Python function, which cannot be stored; write it as an expression")
        if kind in _ACROSS:
            raise ConfigError(
                f"{made.name} is not row-local: {kind} looks at several rows; one row at a time is allowed"
            )


def _kinds(node: Any) -> Iterator[str]:
    """Yield the kinds of all nodes, but not of those that work on the elements of a list."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for each in node:
            if isinstance(each, dict | list) or each == "Len":
                yield from _kinds(each)
    elif isinstance(node, dict):
        for kind, body in node.items():
            if kind == "Literal":
                continue
            yield kind
            if kind == _INSIDE_LISTS:
                yield from _kinds(body.get("expr"))
            elif kind not in {"Column", "function"}:
                yield from _kinds(body)


def _check_default(made: Expression, frame: pl.DataFrame) -> None:
    import polars as pl

    if made.default is None:
        return
    kind = frame.clear().select(made.expr).to_series().dtype
    try:
        held = pl.Series([made.default], dtype=kind, strict=True).item()
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        raise ConfigError(f"{made.name} is {kind}, which its default {made.default!r} is not: {error}") from error
    if held != made.default and held == held:  # noqa: PLR0124 - not NaN
        raise ConfigError(f"{made.name} is {kind}, in which its default {made.default!r} would be {held!r}")


def _drawn(types: Mapping[str, JsonType], *, wild: bool, rng: Random) -> pl.DataFrame:
    """Return rows of these types; wild ones hold what breaks expressions."""
    import polars as pl
    import pyarrow as pa

    columns = {column: _column(parse_type(kind), wild=wild, rng=rng) for column, kind in types.items()}
    frame = pl.from_arrow(pa.table(columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _column(kind: pa.DataType, *, wild: bool, rng: Random) -> pa.Array:
    import pyarrow as pa

    values = [_value(kind, wild=wild, rng=rng) for _ in range(ROWS)]
    if pa.types.is_temporal(kind):
        plain = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(values, plain).cast(kind)
    return pa.array(values, kind)


def _value(kind: pa.DataType, *, wild: bool, rng: Random) -> Any:
    import pyarrow as pa

    if wild and rng.random() < 0.2:
        return None
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        size = kind.list_size if pa.types.is_fixed_size_list(kind) else rng.randint(0, 3) if wild else 3
        return [_value(kind.value_type, wild=wild, rng=rng) for _ in range(size)]
    if pa.types.is_struct(kind):
        return {field.name: _value(field.type, wild=wild, rng=rng) for field in kind}
    if pa.types.is_boolean(kind):
        return rng.random() < 0.5
    if pa.types.is_temporal(kind):
        return rng.randint(0, 20_000) if kind.bit_width == 32 else rng.randint(0, 80_000_000)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return _number(kind, wild=wild, rng=rng)
    text = _text(wild=wild, rng=rng)
    return text if pa.types.is_string(kind) or pa.types.is_large_string(kind) else text.encode()


def _number(kind: pa.DataType, *, wild: bool, rng: Random) -> Any:
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return Decimal(rng.randint(-9, 9))
    if pa.types.is_integer(kind):
        signed = pa.types.is_signed_integer(kind)
        largest = 2 ** (kind.bit_width - (1 if signed else 0)) - 1
        tame = rng.randint(1, 100)
        return rng.choice((0, largest, -largest if signed else 1, tame)) if wild else tame
    tame_float = float(np.float32(rng.lognormvariate(0, 2) * rng.choice((1, -1))))
    return rng.choice((*_WILD, tame_float)) if wild else tame_float


def _text(*, wild: bool, rng: Random) -> str:
    letters = string.ascii_letters + string.digits + (" é漢" if wild else "")
    text = "".join(rng.choices(letters, k=rng.randint(1, 8)))
    return rng.choice((text, str(rng.randint(0, 99)), "", "2026-11-28")) if wild else text
