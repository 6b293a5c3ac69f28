"""Served requests as rows: what was asked, when, of which snapshot, and every value to the last bit.

One table holds the requests of all services, so values are JSON, in which nothing is lost: NaN and infinities are words,
times are counts of their unit, decimals are texts, bytes are base64. Their types stand beside them.
"""

from __future__ import annotations

import decimal
import itertools
import math
import random
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dataplat.feature_store.online.raw import natural
from dataplat.feature_store.status import NAMES
from dataplat.lake.schema import parse_type, type_to_json

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.online.serve import Served

ROWS: Final = 100
"""Rows of one request that are logged, chosen by chance: of a request of 10,000 the others say no more."""
_WORDS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was answered.

    Attributes:
        space: `service@version`.
        entities: the keys, by the names that they have in requests.
        request: the columns that on-demand features asked for.
        rows: how many.
        t: its time, microseconds UTC.
        served: the answer.
    """

    space: str
    entities: Mapping[str, Sequence[Any]]
    request: Mapping[str, Sequence[Any]]
    rows: int
    t: int
    served: Served


def schema() -> pa.Schema:
    """Return the columns of the log."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("space", pa.string(), nullable=False),
            pa.field("t", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("snapshot", pa.string(), nullable=False),
            pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("sequence", pa.int64(), nullable=False),
            pa.field("closure", pa.string(), nullable=False),
            pa.field("pins", pa.string(), nullable=False),
            pa.field("entities", pa.string(), nullable=False),
            pa.field("request", pa.string(), nullable=False),
            pa.field("features", pa.string(), nullable=False),
            pa.field("statuses", pa.string(), nullable=False),
            pa.field("types", pa.string(), nullable=False),
        ]
    )


def table_of(requests: Iterable[Request], batch: str) -> pa.Table:
    """Return requests as rows of the log; `batch` names them, so that a row that is landed twice is one row."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for request in requests:
        rows += _rows(request, batch, len(rows))
    return pa.Table.from_pylist(rows, schema())


def _rows(request: Request, batch: str, first: int) -> list[dict[str, Any]]:
    served, plan = request.served, request.served.plan
    chosen: Sequence[int] = range(request.rows)
    if request.rows > ROWS:
        chosen = sorted(random.sample(chosen, ROWS))  # which rows are looked at is no secret
    kinds = served.kinds
    keys = {name: plan_type(entity.dtype) for name, entity in plan.entities.items()}
    asked = {name: plan_type(kind) for name, kind in plan.transforms.request.items()}
    entities = _objects(_some(request.entities, keys, chosen), len(chosen))
    wanted = _objects(_some(request.request, asked, chosen), len(chosen))
    values = {name: natural([served.raw[name][row] for row in chosen], kind) for name, kind in kinds.items()}
    features = _objects(values, len(chosen))
    statuses = served.statuses_of(chosen)
    snapshot = served.snapshot
    every = {
        "space": request.space,
        "t": request.t,
        "snapshot": snapshot.id,
        "at": snapshot.at,
        "sequence": served.sequence,
        "closure": snapshot.closure,
        "pins": text(snapshot.pins),
        "types": text({name: type_to_json(kind) for name, kind in kinds.items()}),
    }
    return [
        {
            "id": f"{batch}-{first + at:06d}",
            **every,
            "entities": entities[at],
            "request": wanted[at],
            "features": features[at],
            "statuses": text({name: NAMES[codes[at]] for name, codes in statuses.items() if codes[at]}),
        }
        for at in range(len(chosen))
    ]


def _some(
    given: Mapping[str, Sequence[Any]], kinds: Mapping[str, pa.DataType], rows: Sequence[int]
) -> dict[str, pa.Array]:
    return {name: _column([given[name][row] for row in rows], kind) for name, kind in kinds.items()}


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array(values).cast(kind)


def _objects(columns: Mapping[str, pa.Array], rows: int) -> list[str]:
    """Return a JSON object for each row."""
    if not columns:
        return ["{}"] * rows
    told = [spelled(column) for column in columns.values()]
    return [text(dict(zip(columns, row, strict=True))) for row in zip(*told, strict=True)]


def text(value: Any) -> str:
    """Return JSON."""
    return msgspec.json.encode(value).decode()


def plan_type(name: Any) -> pa.DataType:
    """Return the type that an entity or a column of a request is declared with."""
    return parse_type(name)


# ------------------------------------------------------------------------------------------------- values as JSON has them


def spelled(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return values as JSON has them, none the same as another that differs in a bit (but of NaN there is one)."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in spelled(chunk)]
    kind = column.type
    if pa.types.is_dictionary(kind):
        return spelled(column.cast(kind.value_type))
    if _is_list(kind):
        return [spelled(each.values) if each.is_valid else None for each in column]
    if pa.types.is_struct(kind):
        parts = [spelled(column.field(at)) for at in range(kind.num_fields)]
        names = [kind.field(at).name for at in range(kind.num_fields)]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]
        return [row if there else None for row, there in zip(rows, column.is_valid().to_pylist(), strict=True)]
    found: list[Any] = (column.cast(_counts(kind)) if pa.types.is_temporal(kind) else column).to_pylist()
    word = _speller(kind)
    return found if word is None else [None if value is None else word(value) for value in found]


def _speller(kind: pa.DataType) -> Callable[[Any], Any] | None:
    """Return what makes JSON of one value; None where it is JSON."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        return lambda value: value if math.isfinite(value) else _word(value)
    if pa.types.is_decimal(kind):
        return lambda value: format(value, "f")
    if _is_binary(kind):
        return lambda value: b64encode(value).decode("ascii")
    return None


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def typed(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return the column that `spelled` made these values of."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return typed(values, kind.value_type).cast(kind)
    if pa.types.is_temporal(kind):
        return pa.array(values, _counts(kind)).cast(kind)
    if _is_list(kind):
        return _lists(values, kind)
    return pa.array([_read(value, kind) for value in values], kind)


def _lists(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    inner = typed([each for value in values if value is not None for each in value], kind.value_type)
    ends = list(itertools.accumulate(0 if value is None else len(value) for value in values))
    offsets = [None if value is None else end - len(value) for value, end in zip(values, ends, strict=True)]
    found = pa.LargeListArray.from_arrays(pa.array([*offsets, ends[-1] if ends else 0], pa.int64()), inner)
    return pa.array(found.to_pylist(), kind) if pa.types.is_fixed_size_list(kind) else found.cast(kind)


def _read(value: Any, kind: pa.DataType) -> Any:
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_floating(kind):
        return _WORDS[value] if isinstance(value, str) else float(value)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(value)
    if _is_binary(kind):
        return b64decode(value)
    if pa.types.is_struct(kind):
        return {field.name: typed([value[field.name]], field.type).to_pylist()[0] for field in kind}
    return value


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _counts(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.int32() if kind.bit_width == 32 else pa.int64()
