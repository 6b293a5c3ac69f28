"""From a source's rows to facts, and from facts of parts to those of all: the order of PIT 6, and nothing else, is decided here.

Most rows tie with none, and parts are in order already: what is sorted is the key and the times alone, by a sort that runs
through what is in order, and a view's own columns are looked at only where rows tie on all of these.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dataplat.errors import ConfigError, SchemaError
from dataplat.feature_store.definitions import FeatureView
from dataplat.feature_store.kernel.columns import Ordered
from dataplat.feature_store.kernel.facts import Facts
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.keys import typed_keys
from dataplat.feature_store.times import NEVER, to_micros
from dataplat.lake.content_id import key_digests
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints: TypeAlias = NDArray[np.int64]
    Words: TypeAlias = NDArray[np.uint64]
    Bools: TypeAlias = NDArray[np.bool_]


EVENTS: Final = 4_000_000
"""Rows of which events are compared at once."""


def facts(view: FeatureView, table: pa.Table, *, k: Ints | None = None, gone: Ints | None = None) -> Facts:
    """Return the rows of a view's source that count, in order.

    Args:
        view: the view; of an alias the view behind it, since sources know nothing of a spine's columns.
        table: rows of its source: `columns_of(view)` of them are read.
        k: when each row was known, microseconds, without the delay, where no column says so (`history="commits"`).
        gone: when each was deleted, without the delay; `FOREVER`: never.

    Raises:
        SchemaError: A column is missing, a time is null or naive, or a value is no key of its entity.
    """
    found = unordered(view, table, k=k, gone=gone)
    high, low, keyless = digests(found.keys, len(found))
    return _ordered(replace(found, high=high, low=low, keyless=keyless))


def unordered(view: FeatureView, table: pa.Table, *, k: Ints | None = None, gone: Ints | None = None) -> Facts:
    """Return what `facts` does, as rows come and without digests of their keys: of few rows these take the most time."""
    told = view.view
    _check(view, table)
    passed = _passing(view, table)
    if passed is not None:
        table = table.filter(passed)
        there = np.asarray(passed.combine_chunks())
        k, gone = (None if each is None else each[there] for each in (k, gone))
    e = _times(view, table, told.timestamp)
    if k is None:
        k = e if told.known_at is None else _times(view, table, told.known_at)
    keys = typed_keys(told.entities, table, {entity: column for column, entity in told.keys}, view.name)
    none = np.zeros(table.num_rows, np.uint64)
    return Facts(
        none,
        none,
        None,
        e,
        k + told.delay if told.delay else k,
        None
        if gone is None
        else np.where(gone == FOREVER, FOREVER, np.minimum(gone, FOREVER - told.delay) + told.delay),
        _events(view, table),
        keys,
        table.select(list(told.columns)),
    )


def columns_of(view: FeatureView) -> tuple[str, ...]:
    """Return the columns of its source that a view reads, in no order that matters."""
    told = view.view
    wanted = [column for column, _ in told.keys]
    wanted += [told.timestamp, *([told.known_at] if told.known_at else []), *told.row_key, *told.columns]
    return tuple(dict.fromkeys([*wanted, *(condition(told.where).meta.root_names() if told.where else [])]))


def merged(view: FeatureView, several: Sequence[Facts]) -> Facts:
    """Return the facts of parts as those of all; raise `SchemaError` where parts hold a column in types that differ."""
    import pyarrow as pa

    if len(several) == 1:
        return several[0]
    if not several:
        raise ValueError(f"no facts of {view.name}")

    def joined(arrays: Sequence[Any]) -> Any:
        return np.concatenate(arrays)

    def some(name: str, empty: Any, kind: Any) -> Any:
        if all(getattr(each, name) is None for each in several):
            return None
        return joined(
            [
                np.full(len(each), empty, kind) if getattr(each, name) is None else getattr(each, name)
                for each in several
            ]
        )

    def tables(found: Sequence[pa.Table], rows: Sequence[int]) -> pa.Table:
        if not found[0].num_columns:
            return pa.table({"": pa.nulls(sum(rows))}).select([])
        try:
            return pa.concat_tables(found, promote_options="default")
        except pa.ArrowInvalid as error:
            raise SchemaError(f"view {view.name}: parts of its source do not go together: {error}") from error

    sizes = [len(each) for each in several]
    e = joined([each.e for each in several])
    event = None
    if several[0].event is not None:
        event = joined([each.event for each in several])
    return _ordered(
        Facts(
            joined([each.high for each in several]),
            joined([each.low for each in several]),
            some("keyless", False, bool),
            e,
            e if all(each.k is each.e for each in several) else joined([each.k for each in several]),
            some("gone", FOREVER, np.int64),
            event,
            tables([each.keys for each in several], sizes),
            tables([each.columns for each in several], sizes),
        )
    )


def between(found: Facts, first: int, stop: int) -> Facts:
    """Return the facts of keys whose digest's upper half is at least `first` and below `stop`, without a copy."""
    low = int(np.searchsorted(found.high, np.uint64(first)))
    high = len(found) if stop >= 1 << 64 else int(np.searchsorted(found.high, np.uint64(stop)))
    return sliced(found, low, high)


def of_keys(found: Facts, high: Words, low: Words) -> Facts:
    """Return the facts of some keys, in order, however often one is named; those that nobody has are not there."""
    high, low = _once(high, low)
    first, stop = (np.searchsorted(found.high, high, side) for side in ("left", "right"))
    sizes = stop - first
    rows = np.arange(int(sizes.sum())) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
    same = found.low[rows] == np.repeat(low, sizes)  # else keys of which the upper halves agree
    if found.keyless is not None:
        same &= ~found.keyless[rows]
    rows = rows[same]
    return taken(found, rows if (rows[1:] > rows[:-1]).all() else np.unique(rows))


def _once(high: Words, low: Words) -> tuple[Words, Words]:
    """Return each key once, in order: a key that many ask for would bring its rows along for each of them."""
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return high[fresh], low[fresh]


def starts_of(found: Facts) -> Ints:
    """Return where each key's rows begin. Rows without a key come first, and are of none that anybody asks for."""
    if not len(found):
        return np.zeros(0, np.int64)
    fresh = (found.high[1:] != found.high[:-1]) | (found.low[1:] != found.low[:-1])
    return np.flatnonzero(np.concatenate(([True], fresh)))


def groups(found: Facts, starts: Ints, high: Words, low: Words) -> Ints:
    """Return the number of each key among those that begin at `starts`; -1 where it is none of them."""
    if not len(starts):
        return np.full(len(high), -1)
    highs, lows = found.high[starts], found.low[starts]
    begins = 0 if found.keyless is None else int(found.keyless[starts[0]])  # the first group is of no key
    place = np.maximum(np.searchsorted(highs, high), begins)
    number = np.full(len(high), -1)
    left = np.arange(len(high))
    while len(left):  # once, but for keys whose upper halves agree
        left = left[place[left] < len(highs)]
        left = left[highs[place[left]] == high[left]]
        same = lows[place[left]] == low[left]
        number[left[same]] = place[left[same]]
        left = left[~same]
        place[left] += 1
    return number


def digests(keys: pa.Table, rows: int) -> tuple[Words, Words, Bools | None]:
    """Return the upper and lower halves of the digests of keys, and which rows have none (None: all have one)."""
    import pyarrow.compute as pc

    if not keys.num_columns:  # PIT 20: one key, of all rows
        return np.zeros(rows, np.uint64), np.zeros(rows, np.uint64), None
    keyless = None
    for column in keys.columns:
        if column.null_count:
            nulls = np.asarray(pc.is_null(column).combine_chunks())
            keyless = nulls if keyless is None else keyless | nulls
    pieces = [key_digests(batch, keys.schema.names) for batch in keys.to_batches()]
    found = np.concatenate(pieces) if pieces else np.zeros((0, 2), np.uint64)
    low, high = (np.ascontiguousarray(found[:, lane]) for lane in (0, 1))
    if keyless is not None:
        low[keyless] = high[keyless] = 0
    return high, low, keyless


def sliced(found: Facts, start: int, stop: int) -> Facts:
    """Return the facts from one place to another, without a copy."""
    return _picked(found, lambda words: words[start:stop], lambda table: table.slice(start, stop - start))


def taken(found: Facts, rows: Ints) -> Facts:
    """Return the facts at some places, in that order."""
    import pyarrow as pa

    places = pa.array(rows)
    # not words[rows], which holds the interpreter's lock: several parts are put in order beside each other
    return _picked(found, lambda words: words.take(rows, axis=0), lambda table: _taken(table, places))


def _picked(found: Facts, of_words: Callable[[Any], Any], of_table: Callable[[pa.Table], pa.Table]) -> Facts:
    e = of_words(found.e)
    return Facts(
        of_words(found.high),
        of_words(found.low),
        None if found.keyless is None else of_words(found.keyless),
        e,
        e if found.k is found.e else of_words(found.k),
        None if found.gone is None else of_words(found.gone),
        None if found.event is None else of_words(found.event),
        of_table(found.keys),
        of_table(found.columns),
    )


def _taken(table: pa.Table, places: pa.Array) -> pa.Table:
    import pyarrow as pa

    if not table.num_columns:
        return pa.table({"": pa.nulls(len(places))}).select([])
    return table.combine_chunks().take(places)


# ---------------------------------------------------------------------------------------------------------- the order


def _ordered(found: Facts) -> Facts:
    """Put facts in order: (high, low, e, k), then (PIT 6) own columns. Rows without a key are of the key 0, so they come first."""
    if len(found) > 1 and not _is_rising(found):
        found = taken(found, by_high(found.high))
        wrong = ~_rising(found)
        if np.count_nonzero(wrong) > len(found) >> 4:  # rows came in no order of time
            moment = (
                np.lexsort((found.k, found.e)) if (found.k != found.e).any() else np.argsort(found.e, kind="stable")
            )
            found = taken(found, moment[by_high(found.high[moment])])
            wrong = ~_rising(found)
        again = _torn(found, wrong)
        found = found if again is None else taken(found, again)
    rows = _ties(found)
    return found if rows is None else taken(found, rows)


def _is_rising(found: Facts) -> bool:
    if bool((found.high[1:] < found.high[:-1]).any()):  # mostly that is all there is to see
        return False
    return bool(_rising(found).all())


def by_high(high: Words) -> Ints:
    """Return the order of the upper halves of digests, by as many of their bits as leave room for the number of the row.

    Both in one word, so that it is sorted without looking anything up, and rows of a key stay as they were.
    """
    bits = np.uint64(len(high).bit_length())
    room = (np.uint64(1) << bits) - np.uint64(1)
    packed = (high & ~room) | np.arange(len(high), dtype=np.uint64)
    packed.sort()
    return (packed & room).astype(np.int64)


def _torn(found: Facts, wrong: Bools) -> Ints | None:
    """Return the order of rows that `by_high` has put in order but for a few, the `wrong` ones; None where none are.

    What is wrong is wrong within rows whose upper bits agree: only those are sorted again.
    """
    if not wrong.any():
        return None
    upper = found.high >> np.uint64(len(found).bit_length())
    number = np.cumsum(np.concatenate(([False], upper[1:] != upper[:-1])))
    torn = np.zeros(int(number[-1]) + 1, bool)
    torn[number[1:][wrong]] = True
    some = np.flatnonzero(torn[number])
    order = np.lexsort((found.k[some], found.e[some], found.low[some], found.high[some], number[some]))
    rows = np.arange(len(found))
    rows[some] = some[order]
    return rows


def _rising(found: Facts) -> Bools:
    """Say of each row but the first whether it is not before the one ahead of it."""
    rising = np.zeros(len(found) - 1, bool)
    equal = np.ones(len(found) - 1, bool)
    for word in (found.high, found.low, found.e, *(() if found.k is found.e else (found.k,))):
        rising |= equal & (word[1:] > word[:-1])
        equal &= word[1:] == word[:-1]
    return rising | equal


def tied(found: Facts) -> Bools:
    """Say of each row but the first whether it agrees with the one ahead of it in key, e and k."""
    same: Bools = (found.high[1:] == found.high[:-1]) & (found.low[1:] == found.low[:-1])
    same &= found.e[1:] == found.e[:-1]
    return same if found.k is found.e else same & (found.k[1:] == found.k[:-1])


def _ties(found: Facts) -> Ints | None:
    """Return the order in which rows that tie are by their own columns (PIT 6); None where that is how they are."""
    same = tied(found)
    if not same.any():
        return None
    either = np.concatenate(([False], same)) | np.concatenate((same, [False]))
    some = np.flatnonzero(either)
    number = np.cumsum(~np.concatenate(([False], same)))[some]
    import pyarrow as pa

    rows = found.columns.take(pa.array(some)) if found.columns.num_columns else found.columns
    words = [word for column in rows.columns for word in ranks(column)]
    order = np.lexsort((*reversed(words), number))
    if (order == np.arange(len(order))).all():
        return None
    every = np.arange(len(found))
    every[some] = some[order]
    return every


def ranks(column: pa.ChunkedArray | pa.Array) -> list[Ints]:
    """Return what orders the values of a column, the first most: nulls first, NaN last, -0.0 before 0.0 (PIT 6)."""
    import pyarrow as pa

    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
    valid = np.asarray(values.is_valid()).astype(np.int64)
    if pa.types.is_nested(values.type):
        cells = [_rank(each) for each in values.to_pylist()]
        places = {each: at for at, each in enumerate(sorted(set(cells)))}
        return [np.array([places[each] for each in cells], np.int64)]
    ordered = Ordered.of(values)
    nan = np.zeros(len(values), np.int64) if ordered.nan is None else ordered.nan.astype(np.int64)
    return [valid, nan, np.where((valid == 1) & (nan == 0), ordered.keys, 0)]


def _rank(value: Any) -> tuple[Any, ...]:
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (2,) if value != value else (1, value, np.copysign(1.0, value))  # noqa: PLR0124
    if isinstance(value, list | tuple):
        return (1, tuple(_rank(each) for each in value))
    if isinstance(value, dict):
        return (1, tuple(_rank(each) for each in value.values()))
    return (1, value)


# ---------------------------------------------------------------------------------------------------- what rows say


def _check(view: FeatureView, table: pa.Table) -> None:
    there = table.schema.names
    for column in columns_of(view):
        if column not in there:
            raise SchemaError(f"view {view.name}: its source has no column {column!r}{did_you_mean(column, there)}")


def _times(view: FeatureView, table: pa.Table, column: str) -> Ints:
    what = f"{view.name}.{column}"
    found = to_micros(table.column(column), what, view.view.zone)
    if (found == NEVER).any():
        raise SchemaError(
            f"{what} is null in row {int(np.flatnonzero(found == NEVER)[0])}: a row without a time is none"
        )
    return found


def _passing(view: FeatureView, table: pa.Table) -> pa.ChunkedArray | None:
    """Return which rows pass `where`; None: all. Where it is null, or fails, a row does not pass."""
    import polars as pl
    import pyarrow as pa

    if view.view.where is None:
        return None
    passes = condition(view.view.where)
    frame = pl.DataFrame(table.select(list(dict.fromkeys(passes.meta.root_names()))))
    try:
        mask = frame.select(passes.alias("passes")).to_series()
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"view {view.name}: where= fails on its source: {str(error).splitlines()[0]}") from error
    if mask.dtype != pl.Boolean:
        raise SchemaError(f"view {view.name}: where= is {mask.dtype}, and no condition")
    if len(mask) != table.num_rows:
        mask = mask.new_from_index(0, table.num_rows)
    return pa.chunked_array([mask.fill_null(value=False).to_arrow()])


@lru_cache(maxsize=256)
def condition(text: str) -> pl.Expr:
    """Return the condition of a view, `where`, as it is kept.

    Raises:
        ConfigError: Polars cannot read it.
    """
    import polars as pl

    try:
        if text.startswith("{"):
            return pl.Expr.deserialize(io.StringIO(text), format="json")
        return pl.sql_expr(text)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise ConfigError(f"where={text!r} is no condition that Polars can read: {error}") from error


def _events(view: FeatureView, table: pa.Table) -> Words | None:
    """Return the digests of row keys; 0 where one of its values is null, which names no event."""
    names = list(view.view.row_key)
    if not names:
        return None
    keys = table.select(names).combine_chunks()
    high, low, _ = digests(keys, table.num_rows)
    return np.column_stack((high, low))


def without_moves(found: Facts) -> bool:
    """Say whether all rows of each event are of one key, so that keys can be worked on apart (PIT 7)."""
    return none_moves([found], len(found))


def none_moves(pieces: Sequence[Facts], rows: int) -> bool:
    """Say the same of facts in pieces, `rows` in all, that are looked at one after another and never together.

    Events are compared some at a time, by ranges of their digests: what is held is the digests of `EVENTS` rows.
    """
    count = max(1, -(-rows // EVENTS))
    for number in range(count):
        first, last = (number << 64) // count, ((number + 1 << 64) - 1) // count
        found = [events_between(each, first, last) for each in pieces if each.event is not None]
        if found and not unmoved(np.concatenate(found)):
            return False
    return True


def events_between(found: Facts, first: int, last: int) -> Words:
    """Return the rows of events of a range, its last included: digests of event and key, and whether there is a key."""
    assert found.event is not None
    there = (found.event[:, 0] >= np.uint64(first)) & (found.event[:, 0] <= np.uint64(last))
    keyless = np.zeros(len(found), np.uint64) if found.keyless is None else found.keyless.astype(np.uint64)
    return np.column_stack((found.event[there], found.high[there], found.low[there], keyless[there]))


def unmoved(rows: Words) -> bool:
    """Say of all rows of some events, as `events_between` gives them, whether those of each are of one key."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    named = (rows[1:, :2] != 0).any(axis=1) & (rows[1:, :2] == rows[:-1, :2]).all(axis=1)
    return not (named & (rows[1:, 2:] != rows[:-1, 2:]).any(axis=1)).any()


__all__ = [
    "between",
    "by_high",
    "columns_of",
    "digests",
    "events_between",
    "facts",
    "groups",
    "merged",
    "none_moves",
    "of_keys",
    "ranks",
    "sliced",
    "starts_of",
    "taken",
    "tied",
    "unmoved",
    "without_moves",
]
