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
HEADS: Final = ("column", "values", "missing", "distinct", "least", "median", "greatest", "mean", "shape")


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
    return f"{profile.title}{version}{some}: {profile.rows:,} rows × {len(profile.columns)} columns"


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
    missing = share(column.nulls + column.nans, column.rows)
    middle = shown(column, column.quantile(0.5)) if column.numeric else ""
    if column.numeric:
        mean = "" if column.mean is None or column.unit is not None else figure(column.mean)
        picture = sparkline(shape_of(column, _BARS).counts)
    else:
        mean = ""
        picture = _few(column)
    ends = (_cut(shown(column, column.low)), _cut(shown(column, column.high)))
    return (column.name, column.family, missing, distinct_text(column), ends[0], middle, ends[1], mean, picture)


def _few(column: ColumnProfile) -> str:
    """Return the most frequent values, or how long lists are."""
    if column.values is not None:
        return ", ".join(f"{_cut(shown(column, v))} {share(n, column.there)}" for v, n in column.frequent(3))
    if column.lengths is not None and len(column.lengths.bins):
        return f"{column.lengths.low:,} to {column.lengths.high:,} items"
    return ""


def _cut(text: str) -> str:
    text = "".join(character if character.isprintable() else "·" for character in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
