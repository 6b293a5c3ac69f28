"""Values of rows as JSON can hold them, so that nobody sees another value than the row has.

Times are ISO 8601 in their own zone, decimals and whole numbers from 2^53 on (which browsers round) are text, so are NaN
and infinities, bytes are `{"sha256": …}`. Columns are laid out as a whole, by their Arrow type: what Python cannot hold,
nanoseconds and years from 10000 on, is written all the same.
"""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT: Final = 2**53  # from here on a browser may show another number
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - zones are added where there are some
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def plain_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch as plain values."""
    names = batch.schema.names
    columns = [plain_column(column) for column in batch.columns]
    for values in zip(*columns, strict=True) if columns else [()] * batch.num_rows:
        yield dict(zip(names, values, strict=True))


def plain_column(array: pa.Array) -> list[Any]:
    """Return the values of an Arrow array as JSON can hold them."""
    import pyarrow as pa

    kind, types = array.type, pa.types
    if isinstance(array, pa.ExtensionArray):
        return plain_column(array.storage)
    if types.is_dictionary(kind):
        return plain_column(array.dictionary_decode())
    if types.is_temporal(kind):
        return _temporal(array)
    if types.is_struct(kind):
        columns = [plain_column(field) for field in array.flatten()]
        names = [field.name for field in kind]
        rows = zip(*columns, strict=True) if columns else [()] * len(array)
        return [
            dict(zip(names, row, strict=True)) if valid else None
            for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
        ]
    if types.is_map(kind):
        return [None if row is None else {str(key): value for key, value in row} for row in _inner(array, _pairs)]
    if types.is_nested(kind) and not types.is_union(kind) and not types.is_run_end_encoded(kind):
        return _inner(array, plain_column)
    if types.is_float32(kind) or types.is_float16(kind):
        return [None if value is None else _short(value, kind.to_pandas_dtype()) for value in array.to_pylist()]
    return [plain_value(value) for value in array.to_pylist()]


def plain_value(value: Any) -> Any:
    """Return one Python value as JSON can hold it; what is of no type known is its text."""
    for kinds, change in _CHANGES:
        if isinstance(value, kinds):
            return change(value)
    return str(value)


def _inner(array: pa.Array, plain: Callable[[pa.Array], list[Any]]) -> list[Any]:
    """Return the items of each row of a list or map, by what `plain` makes of them."""
    return [plain(row.values) if row.is_valid else None for row in array]


def _pairs(items: pa.Array) -> list[tuple[Any, Any]]:
    return list(zip(*map(plain_column, items.flatten()), strict=True))


def _temporal(array: pa.Array) -> list[Any]:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_interval(kind):
        return [plain_value(value) for value in array.to_pylist()]
    counts = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
    if pa.types.is_date(kind):
        per_day = 1 if kind.bit_width == 32 else 86_400_000
        return [None if count is None else _instant(count, per_day, 86_400, None)[:-9] for count in counts]
    per_second = _PER_SECOND[kind.unit]
    if pa.types.is_timestamp(kind):
        zone = _zone(kind.tz)
        return [None if count is None else _instant(count, per_second, 1, zone) for count in counts]
    if pa.types.is_time(kind):
        return [None if count is None else _instant(count, per_second, 1, None)[11:] for count in counts]
    return [None if count is None else _span(count, per_second) for count in counts]


def _instant(count: int, per: int, seconds: int, zone: dt.tzinfo | None) -> str:
    """Return ISO 8601 of so many times `seconds / per` since 1970."""
    whole, rest = divmod(count * seconds, per)
    fraction = f".{rest * 10**9 // per:09d}".rstrip("0") if rest else ""
    try:
        moment = _EPOCH + dt.timedelta(seconds=whole)
        if zone is not None:
            moment = moment.replace(tzinfo=dt.UTC).astimezone(zone)
        text = moment.isoformat()
    except (OverflowError, ValueError):  # before the year 1 or after 9999
        import numpy as np

        text = str(np.datetime64(whole, "s")) + ("" if zone is None else "+00:00")
    head, tail = text[: text.index("T") + 9], text[text.index("T") + 9 :]
    return f"{head}{fraction}{tail}"


def _zone(name: str | None) -> dt.tzinfo | None:
    """Return a zone by the name that Arrow has; one that is not known here is told in UTC, the same instant."""
    if name is None:
        return None
    try:
        if name[0] in "+-":
            hours, minutes = int(name[:3]), int(name[0] + name[-2:])
            return dt.timezone(dt.timedelta(hours=hours, minutes=minutes))
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def _span(count: int, per_second: int) -> str:
    """Return a duration as days and `hours:minutes:seconds`."""
    sign, count = ("-", -count) if count < 0 else ("", count)
    seconds, rest = divmod(count, per_second)
    days, seconds = divmod(seconds, 86_400)
    fraction = f".{rest * 10**9 // per_second:09d}".rstrip("0") if rest else ""
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"
    return f"{sign}{f'{days} days ' if days else ''}{clock}"


def _short(value: float, narrow: type) -> float | str:
    """Return a float of 32 or 16 bits by the shortest number that names it: 0.1, not 0.10000000149011612."""
    return _number(float(str(narrow(value))))


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _whole(value: int) -> int | str:
    return value if -_EXACT < value < _EXACT else str(value)


def _bytes(value: bytes | bytearray | memoryview) -> dict[str, str]:
    return {"sha256": hashlib.sha256(value).hexdigest()}


def _as_is(value: Any) -> Any:
    return value


_CHANGES: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    ((str, bool, type(None)), _as_is),
    (int, _whole),
    (float, _number),
    ((bytes, bytearray, memoryview), _bytes),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    (decimal.Decimal, lambda value: f"{value:f}"),
    (Mapping, lambda value: {str(key): plain_value(each) for key, each in value.items()}),
    ((list, tuple), lambda value: [plain_value(each) for each in value]),
)
