"""Whether the rows of a part are what the manifest says of them: count, footer, digest, statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dataplat.lake._part_open import open_part
from dataplat.lake._stats import DAY, LONGEST_STRING, NANOSECONDS
from dataplat.lake.canonical import family
from dataplat.lake.content_id import digest
from dataplat.lake.digest import Digest
from dataplat.lake.parts import read_part
from dataplat.lake.scan import scan
from dataplat.lake.schema import stored_name

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects
    from dataplat.lake.part import ColumnStats, Part

_TIMES: Final = frozenset({"date", "time", "timestamp", "timestamp_tz", "duration"})


@dataclass(frozen=True, slots=True)
class PartCheck:
    """What is wrong with a part ("" for nothing), the digest of its rows, and the columns that it holds."""

    wrong: str
    digest: Digest
    schema: pa.Schema


def check_part(objects: Objects, part: Part, names: Mapping[str, str]) -> PartCheck:
    """Read all rows of a part, whose bytes are as they were written, and compare them with what is known of it.

    `names` gives the stored name of a column that statistics are known of.
    """
    opened = open_part(objects, part)
    stored = {name: names.get(name, name) for name in part.stats}
    seen = {name: _Seen() for name, column in stored.items() if column in opened.schema.names}

    def noting(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name, found in seen.items():
                found.add(batch.column(stored[name]))
            yield batch

    found = digest(noting(read_part(objects, part)))
    wrong = ""
    if found.rows != part.rows:
        wrong = f"it has {found.rows} rows, but the manifest says {part.rows}"
    elif found != part.digest:
        wrong = "its rows do not add up to the digest that the manifest holds"
    else:
        for name, what in seen.items():
            differs = what.differs(part.stats[name])
            if differs:
                wrong = f"statistics of column {name!r} are wrong: {differs}"
    return PartCheck(wrong, found, opened.schema)


def live_digest(objects: Objects, part: Part, schema: pa.Schema, check: PartCheck) -> Digest:
    """Return the digest of the rows that count, as the manifest's schema has them."""
    if part.deletes is None and _same(check.schema, schema):
        return check.digest
    return digest(scan(objects, [part], schema), schema)


def _same(written: pa.Schema, wanted: pa.Schema) -> bool:
    """Whether rows of a part have under its own schema the digest that they have under the manifest's."""
    names = {field.name: field for field in wanted}
    return all(
        field.name in names and stored_name(names[field.name]) == field.name and names[field.name].type == field.type
        for field in written
    ) and all(stored_name(field) == field.name for field in wanted)


class _Seen:
    """Nulls, NaNs and bounds of one column, over the batches that were seen."""

    def __init__(self) -> None:
        self.nulls = self.nans = 0
        self.low: Any = None
        self.high: Any = None
        self._kind: pa.DataType = pa.null()

    def add(self, column: pa.Array) -> None:
        """Take in one batch."""
        self._kind = column.type
        self.nulls += len(column) if pa.types.is_null(column.type) else column.null_count
        values = column
        if pa.types.is_floating(column.type):
            isnan = pc.is_nan(column)
            self.nans += pc.sum(isnan).as_py() or 0
            values = column.filter(pc.invert(isnan)).cast(pa.float64())
        bounds = _bounds_of(values)
        if bounds is not None:
            low, high = bounds
            self.low = low if self.low is None or low < self.low else self.low
            self.high = high if self.high is None or high > self.high else self.high

    def differs(self, stats: ColumnStats) -> str:
        """Return what is different from `stats`, "" where nothing is."""
        if (stats.nulls, stats.nans) != (self.nulls, self.nans):
            return f"{stats.nulls} nulls and {stats.nans} NaN, but it has {self.nulls} and {self.nans}"
        for which, stated, found in (("least", stats.low, self.low), ("greatest", stats.high, self.high)):
            if stated is not None and (found is None or _comparable(self._kind, stated) != found):
                return f"its {which} value is {found!r}, not {stated!r}"
        return ""


def _bounds_of(values: pa.Array) -> tuple[Any, Any] | None:
    kind = values.type
    name = family(kind)
    read = _READERS.get(name, _READERS["time"] if name in _TIMES else None)
    if read is None or len(values) == values.null_count:
        return None
    if name == "string":
        values = values.cast(pa.large_binary())  # ordered by UTF-8 bytes
    if name in _TIMES:
        values = values.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    found = pc.min_max(values)
    return read(found["min"].as_py(), kind), read(found["max"].as_py(), kind)


def _nanoseconds(value: int, kind: pa.DataType) -> int:
    return value * (DAY if pa.types.is_date32(kind) else NANOSECONDS[kind.unit])


_READERS: Final[Mapping[str, Callable[[Any, pa.DataType], Any]]] = {
    "int": lambda value, _: value,
    "float": lambda value, _: value,
    "bool": lambda value, _: value,
    "decimal": lambda value, _: value,
    "string": lambda value, _: value,
    "time": _nanoseconds,
}


def _comparable(kind: pa.DataType, stated: Any) -> Any:
    name = family(kind)
    if name == "decimal":
        return Decimal(stated)
    if name == "string":
        text = stated.encode()
        return text if len(text) <= LONGEST_STRING else None
    return stated
