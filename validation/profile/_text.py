"""A profile as lines of text, with a picture of each column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from dataplat.validation.profile._column import ColumnProfile
from dataplat.validation.profile._format import figure, share, shown
from dataplat.validation.profile._shape import shape_of

if TYPE_CHECKING:
    from dataplat.validation.profile._profile import Profile

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_BARS: Final = 16
_LONGEST: Final = 24
HEADS: Final = (
    "column",
    "values",
    "missing",
    "distinct",
    "shape",
    "median",
    "mean",
    "least",
    "greatest",
    "most frequent",
)


def rows_of(profile: Profile) -> list[tuple[str, ...]]:
    """Return a line of cells for each column, under `HEADS`."""
    return [_row(column) for column in profile.columns.values()]


def text_of(profile: Profile) -> str:
    """Return the whole profile as text."""
    lines = [HEADS, *rows_of(profile)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADS))]
    table = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join([headline(profile), *table])


def headline(profile: Profile) -> str:
    """Return what was looked at, in a line."""
    some = f" where {profile.where}" if profile.where else ""
    version = f"@id:{profile.version[:12]}" if profile.version else ""
    rows, columns = profile.rows, len(profile.columns)
    size = f"{rows:,} row{'s' if rows != 1 else ''} × {columns:,} column{'s' if columns != 1 else ''}"
    unread = f"; {profile.unread:,} cannot be read" if profile.unread else ""
    return f"{profile.title}{version}{some}: {size}{unread}"


def sparkline(counts: tuple[int, ...]) -> str:
    """Return bars as characters; what is there is seen."""
    most = max(counts, default=0) or 1
    return "".join(_BLOCKS[math.ceil(count / most * (len(_BLOCKS) - 1))] for count in counts)


def distinct_text(column: ColumnProfile) -> str:
    """Return the number of distinct values, with `~` where it is an estimate."""
    if column.distinct is None:
        return ""
    return ("" if column.values is None or column.values.exact else "~") + f"{column.distinct:,}"


def _row(column: ColumnProfile) -> tuple[str, ...]:
    middle = shown(column, column.quantile(0.5)) if column.numeric else ""
    mean = figure(column.mean) if column.numeric and column.unit is None else ""
    return (
        column.name,
        column.family,
        share(column.nulls + column.nans, column.rows),
        distinct_text(column),
        sparkline(shape_of(column, _BARS).counts),
        middle,
        mean,
        _cut(shown(column, column.low)),
        _cut(shown(column, column.high)),
        _most(column),
    )


def _most(column: ColumnProfile) -> str:
    """Return the most frequent value, of what has no order, or how long lists are."""
    if column.lengths is not None and column.values is None and len(column.lengths.bins):
        return f"{column.lengths.low:,} to {column.lengths.high:,} items"
    if column.numeric or not column.frequent(1):
        return ""
    ((value, count),) = column.frequent(1)
    return f"{_cut(shown(column, value))} {share(count, column.there)}"


def _cut(text: str) -> str:
    text = "".join(character if character.isprintable() else "·" for character in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
