"""Drift and skew between versions, windows, slices, frames and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from dataplat.errors import BadColumn, ConfigError, SourceError

if TYPE_CHECKING:
    from datetime import timedelta

    import polars as pl
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.lake.engine import Engine
    from dataplat.validation.drift import DriftReport, Pair, Question, Usual
    from dataplat.validation.drift._column import Column
    from dataplat.validation.drift.skew import FeatureSkew, SkewReport
    from dataplat.validation.subject import Subject

Where: TypeAlias = "str | pl.Expr"

SLICES = 50
"""Values of a column by which rows are compared slice by slice: the most frequent ones of both sides."""


class DriftOptions(TypedDict, total=False):
    """What a comparison may be told, besides its two sides."""

    columns: Sequence[str] | None
    method: str | Mapping[str, str] | None
    by: str | None
    where: Where | tuple[Where | None, Where | None] | None
    min_effect: float | None
    alpha: float
    exact: bool
    history: bool
    engine: str | Engine


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison: a version, or rows in memory."""

    title: str
    where: Where | None
    version: Version | None = None
    table: pa.Table | None = None
    exact: bool = False
    engine: Engine | None = None

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self.version.schema if self.version is not None else self.rows.schema

    @property
    def names(self) -> list[str]:
        """The columns."""
        return list(self.schema.names)

    @property
    def rows(self) -> pa.Table:
        """The rows in memory."""
        assert self.table is not None
        return self.table

    def columns(self, question: Question) -> Mapping[str, Column]:
        """Return the columns: of a version from its profile, or each read when it is its turn."""
        from dataplat.validation.drift import ProfileColumns, TableColumns

        version = self.version
        if version is not None and not self.exact:
            names = None if question.columns is None else [name for name in self.names if name in question.columns]
            if names == []:
                return {}
            found = version.profile(columns=names, where=self.where, engine=self.engine or "local")
            return ProfileColumns(found.columns)
        if version is None or self.where is not None:
            return TableColumns.of(self.read(question.columns))
        return TableColumns(version.schema, lambda name: version.to_arrow(columns=[name]).column(name))

    def usual(self, question: Question) -> dict[str, Usual]:
        """Return what is usual in the history of a version."""
        from dataplat.validation.drift import kind_of, usual_in

        version = self.version
        if version is None:
            return {}
        kinds = {field.name: kind for field in version.schema if (kind := kind_of(field.type)) is not None}
        methods = question.methods(kinds)
        return usual_in(version.objects, version.found_at, version.dataset, methods, self.engine)

    def read(self, names: Sequence[str] | None) -> pa.Table:
        """Return the rows asked for, of the columns that are there."""
        wanted = None if names is None else [name for name in self.names if name in names]
        if self.version is not None:
            return self.version.to_arrow(columns=wanted, where=self.where)
        rows = self.rows
        if self.where is not None:
            from dataplat.lake.where import parse_where

            rows = rows.filter(parse_where(self.where, rows.schema).mask(rows))
        return rows if wanted is None else rows.select(wanted)


def drift(before: Any, after: Any, **options: Unpack[DriftOptions]) -> DriftReport:
    """Compare two sides of data, column by column, and say which of them drifts.

    Args:
        before: the reference, by which bins are fixed: a version, an Arrow, polars or pandas table, a reader or list of
            batches, or a file (a path, glob or folder).
        after: what is compared with it, of the same kinds: live batches, for one.
        **options: `columns`; `method` (`ks`, `chi2`, `psi`, `js`, `hellinger`, `wasserstein`, or one by column; unless told
            `ks` for numbers and `chi2` for categories); `by` (a column: the rows of each of its values are compared by
            themselves); `where` (SQL or a Polars expression; a pair of them has one for each side); `min_effect` (what
            counts as drift, in units of the statistic); `alpha` (the chance of any false alarm in the report, 0.05);
            `exact` (read the rows of versions where profiles would do); `history` (False: do not look at what is usual
            between the earlier versions of the dataset); `engine` ("spark": its tasks profile versions; where rows are to
            be read, for `exact` or `by`, one of them compares).

    Raises:
        BadColumn: A column is not there, or holds nothing that has a distribution.
        ConfigError: There is no such method, or a number makes no sense.
        SourceError: A file cannot be read.
    """
    return compared((before, after), (None, None), options)


def drift_in(lake: Lake, before: Any, after: Any, options: DriftOptions) -> DriftReport:
    """Compare two sides, of which texts are references to versions of a lake."""
    one, two = (lake[side] if isinstance(side, str) else side for side in (before, after))
    titles = (before if isinstance(before, str) else None, after if isinstance(after, str) else None)
    return compared((one, two), titles, options)


def compared(sides: tuple[Any, Any], titles: tuple[str | None, str | None], options: DriftOptions) -> DriftReport:
    """Compare two sides under the titles given; see `drift`."""
    unknown = sorted(options.keys() - DriftOptions.__annotations__.keys())
    if unknown:
        raise ConfigError(f"drift has no option {unknown[0]!r}: there are {', '.join(DriftOptions.__annotations__)}")
    where = options.get("where")
    first, second = where if isinstance(where, tuple) else (where, where)
    exact = options.get("exact", False)
    one = _side(sides[0], titles[0] or "before", first, exact=exact)
    return _by_engine(one, _side(sides[1], titles[1] or "after", second, exact=exact), options)


def _by_engine(before: _Side, after: _Side, options: DriftOptions) -> DriftReport:
    """Compare two sides where the engine that is asked for has it done."""
    from dataplat._engine import engine_of

    version = before.version or after.version
    name = options.get("engine", "local")
    if version is None or name == "local":
        return _compared(before, after, options)
    engine = engine_of(name, version.objects)
    if options.get("by") is None and not options.get("exact"):
        return _compared(replace(before, engine=engine), replace(after, engine=engine), options)
    rest = DriftOptions(**{**options, "engine": "local"})
    (found,) = engine.map(partial(_compared_there, rest), [(before, after)])
    return found


def _compared_there(options: DriftOptions, sides: tuple[_Side, _Side]) -> DriftReport:
    return _compared(*sides, options)


def _compared(before: _Side, after: _Side, options: DriftOptions) -> DriftReport:
    from dataplat.validation.drift import Pair, Question, compare

    question = Question(
        options.get("columns"), options.get("method"), options.get("min_effect"), options.get("alpha", 0.05)
    )
    _check_columns(question, before, after)
    by, titles = options.get("by"), (before.title, after.title)
    if by is not None:
        if question.columns is not None:
            question = replace(question, columns=[name for name in question.columns if name != by])
        pairs = _slices(before, after, by, question)
    else:
        pairs = [Pair(before.columns(question), after.columns(question))]
    usual = before.usual(question) if options.get("history", True) else {}
    return compare(pairs, question, usual=usual, titles=titles)


def _check_columns(question: Question, before: _Side, after: _Side) -> None:
    """Refuse columns that neither side has, or that hold nothing with a distribution."""
    from dataplat.lake.schema import did_you_mean
    from dataplat.validation.drift import kind_of

    for name in question.columns or ():
        kinds = [side.schema.field(name).type for side in (before, after) if name in side.names]
        if not kinds:
            raise BadColumn(f"no column {name!r} in {before.title} or {after.title}{did_you_mean(name, before.names)}")
        if all(kind_of(kind) is None for kind in kinds):
            raise BadColumn(f"column {name!r} holds {kinds[0]}, which has no distribution to compare")


def _slices(before: _Side, after: _Side, by: str, question: Question) -> list[Pair]:
    """Return a pair for each value of a column, the most frequent first; what is not there on a side has no rows."""
    from dataplat.lake.schema import did_you_mean
    from dataplat.validation.drift import Pair, TableColumns

    for side in (before, after):
        if by not in side.names:
            raise BadColumn(f"no column {by!r} in {side.title}{did_you_mean(by, side.names)}")
    names = None if question.columns is None else [*question.columns, by]
    sides = [_sliced(side.read(names), by) for side in (before, after)]
    counts: dict[str, int] = {}
    for slices in sides:
        for value, rows in slices.items():
            counts[value] = counts.get(value, 0) + rows.num_rows
    ranked = sorted(counts, key=lambda value: (-counts[value], value))[:SLICES]
    one, two = sides
    empty = [next(iter(slices.values())).slice(0, 0) if slices else None for slices in sides]
    if None in empty:
        raise ConfigError("a side has no rows, so there is nothing to slice")
    return [
        Pair(TableColumns.of(one.get(value, empty[0])), TableColumns.of(two.get(value, empty[1])), value)
        for value in ranked
    ]


def _sliced(rows: pa.Table, by: str) -> dict[str, pa.Table]:
    """Return the rows of each value of a column, without it."""
    import numpy as np
    import polars as pl
    import pyarrow as pa

    values = pl.Series(pl.from_arrow(rows.column(by))).cast(pl.String).fill_null("null")
    codes = values.rank("dense").to_numpy().astype(np.int64)
    order = np.argsort(codes, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    names = values.gather(order[cuts]).to_list()
    ordered = rows.drop_columns([by]).take(pa.array(order))
    stops = [*cuts[1:], len(order)]
    return {
        name: ordered.slice(int(start), int(stop - start)) for name, start, stop in zip(names, cuts, stops, strict=True)
    }


def _side(data: Any, title: str, where: Where | None = None, *, exact: bool = True) -> _Side:
    from dataplat._version import Version

    if isinstance(data, Version):
        named = f"{data.dataset}@id:{data.id[:12]}" if title in {"before", "after"} else title
        return _Side(named, where, version=data, exact=exact)
    if isinstance(data, str | Path):
        title = str(data)
    return _Side(title, where, table=_table(data))


def _table(data: Any) -> pa.Table:
    """Return rows of any kind as a table in memory."""
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, pa.RecordBatchReader):
        return data.read_all()
    if isinstance(data, Sequence) and data and all(isinstance(each, pa.RecordBatch) for each in data):
        return pa.Table.from_batches(list(data))
    subject = _subject(data)
    return pa.Table.from_batches(subject.scan(subject.schema.names), subject.schema)


def _subject(data: Any, key: Sequence[str] = ()) -> Subject:
    """Return what lies outside of a lake; raise `SourceError` where not all of it can be read."""
    from dataplat._validate import subject_of

    subject, unread = subject_of(data, key)
    if unread:
        raise SourceError(f"{subject.title}: {unread[0].failing:,} {unread[0].detail}")
    return subject


def skew(
    training: Any,
    serving: Any,
    *,
    on: str | Sequence[str] = (),
    time: str | None = None,
    within: timedelta | None = None,
    tolerance: float = 0.0,
    max_share: float = 0.0,
    columns: Sequence[str] | None = None,
    min_effect: float | None = None,
    alpha: float = 0.05,
) -> SkewReport:
    """Compare what models were trained on with what they are served: as distributions, and row by row.

    Args:
        training: what models were trained on: a version, a table, a reader or a file.
        serving: what was served, as logged.
        on: columns that name the entity, by which rows are joined; without them only distributions are compared.
        time: column of the time: a served row goes with the latest row of training that is not later than it.
        within: how much older that row may be.
        tolerance: relative difference up to which two numbers count as equal.
        max_share: the share of rows in which a feature may differ.
        columns: features; None is all that both sides have.
        min_effect: what counts as drift, in units of the statistic.
        alpha: the chance of any false alarm among the distributions.

    Raises:
        BadColumn: A column is not on both sides.
        ConfigError: A number makes no sense.
        KeyViolation: There is no time, and training has several rows of one entity.
    """
    from dataplat.lake.schema import did_you_mean
    from dataplat.validation.drift import Pair, Question, TableColumns, compare
    from dataplat.validation.drift.skew import Pairing, SkewReport, row_skew

    keys = [on] if isinstance(on, str) else list(on)
    sides = [_side(training, "training"), _side(serving, "serving")]
    first, second = (side.names for side in sides)
    for name in (*keys, *([time] if time else []), *(columns or ())):
        for side in sides:
            if name not in side.names:
                raise BadColumn(f"no column {name!r} in {side.title}{did_you_mean(name, side.names)}")
    wanted = None if columns is None else [*keys, *([time] if time else []), *columns]
    one, two = (side.read([name for name in first if name in second] if wanted is None else wanted) for side in sides)
    features: tuple[FeatureSkew, ...] = ()
    joined = 0
    if keys:
        features, joined = row_skew(one, two, Pairing(keys, time, within, tolerance), columns)
    names = (
        [name for name in second if name in first and name not in {*keys, time}] if columns is None else list(columns)
    )
    pair = Pair(TableColumns.of(one.select(names)), TableColumns.of(two.select(names)))
    question = Question(columns, min_effect=min_effect, alpha=alpha)
    found = compare([pair], question, usual={}, titles=(sides[0].title, sides[1].title))
    unserved = [name for name in first if name not in second]
    return SkewReport(found, features, two.num_rows, joined, max_share, tuple(unserved))


def outliers(
    data: Any,
    *,
    key: str | Sequence[str] = (),
    method: str = "robust_z",
    columns: Sequence[str] | None = None,
    bound: float | None = None,
    limit: int = 100_000,
    seed: int = 0,
) -> pa.Table:
    """Return the rows of a table or file that lie far from the others, the farthest first, each with its reason.

    Args:
        data: an Arrow, polars or pandas table, a reader of batches, or a file (a path, glob or folder).
        key: columns that name a row in the answer.
        method: `robust_z` (from the median, in units of the median distance), `iqr` (from the quartiles, in units of the
            distance between them), or `isolation_forest` (rows by all columns together; needs scikit-learn).
        columns: which; None is all that hold numbers, without the key.
        bound: the score from which on; None is 3.5, 1.5 and 0.6.
        limit: the most outliers to return.
        seed: of the isolation forest: the same rows and seed give the same answer.

    Returns:
        One row per outlier: `part` and `row`, the key columns as text, and the reason: `column`, its `value`, the `score`,
        and `low` and `high`, between which it would be none.

    Raises:
        BadColumn: A column is not there or holds no numbers.
        ConfigError: There is no such method, or the bound is none.
        MissingExtra: The method needs scikit-learn.
        SourceError: The file cannot be read.
    """
    from dataplat.validation.outliers import find_outliers

    subject = _subject(data, (key,) if isinstance(key, str) else tuple(key))
    return find_outliers(subject, method=method, columns=columns, bound=bound, limit=limit, seed=seed)
