"""Statistics of each column in two versions: from those of parts where they are exact, else from the rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dataplat.lake._stats import DAY, NANOSECONDS
from dataplat.lake.part import ColumnStats
from dataplat.versioning._stats import united
from dataplat.versioning.diff._schema import names_in_later

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from dataplat.lake.objects import Objects
    from dataplat.lake.part import Part, Scalar
    from dataplat.versioning.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Summary:
    """One column of one version: rows, nulls, NaNs, the least and greatest value, and of numbers the mean.

    `low` and `high` are None where there is no value, or the type has no order, or a bound is a string over 256 bytes.
    """

    rows: int
    nulls: int
    nans: int
    low: Any
    high: Any
    mean: float | None


@dataclass(frozen=True, slots=True)
class StatsDiff:
    """One column in both versions; None where it is not in one of them. `name` is that in the later, if it is there."""

    name: str
    before: Summary | None
    after: Summary | None

    @property
    def differs(self) -> bool:
        """Whether any figure differs."""
        return self.before != self.after


@dataclass(slots=True)
class _Tally:
    """What is known of one column of one part."""

    rows: int
    stats: ColumnStats
    total: float = 0.0


def stats_diffs(objects: Objects, before: Manifest, after: Manifest) -> list[StatsDiff]:
    """Return the statistics of both versions, columns of the later first and in its order."""
    read: dict[tuple[str, str | None, str, str], _Tally] = {}
    old = _version_stats(objects, before, read)
    new = _version_stats(objects, after, read)
    names = names_in_later(before, after)
    renamed = {names[name]: summary for name, summary in old.items()}
    return [StatsDiff(name, renamed.get(name), new.get(name)) for name in dict.fromkeys((*new, *renamed))]


def _version_stats(
    objects: Objects, manifest: Manifest, read: dict[tuple[str, str | None, str, str], _Tally]
) -> dict[str, Summary]:
    parts = [part for part in manifest.parts() if part.live]
    found: dict[str, list[_Tally]] = {field.name: [] for field in manifest.schema}
    for part in parts:
        missing = []
        for field in manifest.schema:
            at = _read_key(part, field)
            if not _is_number(field.type) and not part.deleted and field.name in part.stats:
                found[field.name].append(_Tally(part.rows, part.stats[field.name]))
            elif at in read:
                found[field.name].append(read[at])
            else:
                missing.append(field.name)
        for name, tally in _read_part(objects, part, manifest.schema, missing).items():
            read[_read_key(part, manifest.schema.field(name))] = tally
            found[name].append(tally)
    return {field.name: _summed(found[field.name], field.type) for field in manifest.schema}


def _read_key(part: Part, field: pa.Field) -> tuple[str, str | None, str, str]:
    from dataplat.lake.schema import stored_name

    return part.id, part.deletes, stored_name(field), str(field.type)


def _read_part(objects: Objects, part: Part, schema: pa.Schema, names: list[str]) -> Mapping[str, _Tally]:
    from dataplat.lake.scan import scan

    tallies: dict[str, list[_Tally]] = {name: [] for name in names}
    if names:
        for batch in scan(objects, [part], schema, columns=names, batch_rows=None):
            for name in names:
                tallies[name].append(_tally(batch.column(name)))
    return {name: _united(listed, schema.field(name).type) for name, listed in tallies.items()}


def _tally(column: pa.Array) -> _Tally:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, total, nans = column.type, 0.0, 0
    rows, nulls = len(column), len(column) if pa.types.is_null(column.type) else column.null_count
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64()) if pa.types.is_float16(kind) else column
        nan = pc.is_nan(column)
        nans = pc.sum(nan).as_py() or 0
        column = column.filter(pc.invert(nan).fill_null(False)) if nans else column
    if _is_number(kind):
        total = float(pc.sum(column.cast(pa.float64())).as_py() or 0.0)
    if pa.types.is_nested(kind) or pa.types.is_null(kind) or _is_binary(kind):
        return _Tally(rows, ColumnStats(nulls, nans), total)
    ends = pc.min_max(column.view(pa.int64()) if pa.types.is_duration(kind) else column)
    low, high = _scalar(ends["min"], kind), _scalar(ends["max"], kind)
    return _Tally(rows, ColumnStats(nulls, nans, low, high), total)


def _united(tallies: list[_Tally], kind: pa.DataType) -> _Tally:
    import pyarrow as pa

    rows = [tally.rows for tally in tallies]
    stats = united([tally.stats for tally in tallies], rows, decimal=pa.types.is_decimal(kind))
    return _Tally(sum(rows), stats, sum(tally.total for tally in tallies))


def _summed(tallies: list[_Tally], kind: pa.DataType) -> Summary:
    whole = _united(tallies, kind)
    stats, valued = whole.stats, whole.rows - whole.stats.nulls - whole.stats.nans
    mean = whole.total / valued if valued and _is_number(kind) else None
    return Summary(whole.rows, stats.nulls, stats.nans, _shown(stats.low, kind), _shown(stats.high, kind), mean)


def _scalar(value: pa.Scalar, kind: pa.DataType) -> Scalar | None:
    """Return a bound of a column of type `kind` in the form that statistics of parts have."""
    import pyarrow as pa

    if not value.is_valid:
        return None
    if pa.types.is_date(kind):
        return int(value.cast(pa.int32()).as_py()) * DAY
    if pa.types.is_temporal(kind):
        return int(value.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64()).as_py()) * NANOSECONDS[kind.unit]
    if pa.types.is_decimal(kind):
        return str(value.as_py())
    plain: Scalar = value.as_py()
    return plain + 0.0 if isinstance(plain, float) else plain


def _shown(bound: Scalar | None, kind: pa.DataType) -> Any:
    """Return a bound as people write it: times as text, since Python has no nanoseconds."""
    import pyarrow as pa

    if bound is None:
        return None
    if pa.types.is_decimal(kind):
        return Decimal(str(bound))
    if pa.types.is_date(kind):
        days = int(bound) // DAY
        return date.fromordinal(days + 719_163) if -719_162 <= days <= 2_932_896 else str(days)
    if pa.types.is_temporal(kind):
        whole = pa.scalar(int(bound) // NANOSECONDS[kind.unit], pa.int32() if pa.types.is_time32(kind) else pa.int64())
        if pa.types.is_duration(kind):
            return f"{whole.as_py():,} {kind.unit}"
        if pa.types.is_timestamp(kind):
            return whole.cast(pa.timestamp(kind.unit)).cast(pa.string()).as_py() + ("Z" if kind.tz else "")
        return whole.cast(kind).cast(pa.string()).as_py()
    return bound


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind))
