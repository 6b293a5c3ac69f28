"""What people read: aligned tables, sizes, times, colours; and what machines read: JSON."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TextIO

import click

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
ID_DIGITS = 12
_BYTES_SHOWN = 40


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return `text` in `colour`, if `stream` is a terminal and NO_COLOR is not set."""
    shown = sys.stdout if stream is None else stream
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not shown.isatty()
    return text if plain else f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def size(count: int | None) -> str:
    """Return bytes as people say them: `482 B`, `12.3 MB`."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(amount) < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 row`, `2,000 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def near(text: str) -> str:
    """Return text for people with paths below this folder as they would type them."""
    return text.replace(f"{os.getcwd()}{os.sep}", "")  # noqa: PTH109  (one call less at start)


def number(count: int | None) -> str:
    """Return a count with thousands apart: `336,776`."""
    return "-" if count is None else f"{count:,}"


def seconds(count: float) -> str:
    """Return a duration: `340 ms`, `2.41 s`, `3 min 05 s`."""
    if count < 1:
        return f"{count * 1000:.0f} ms"
    if count < 60:
        return f"{count:.2f} s"
    return f"{int(count // 60)} min {int(count % 60):02d} s"


def span(value: timedelta | None) -> str:
    """Return how long something is ago, as people say it: `3 s`, `5 min`, `3 h 49 min`, `12 d`, `4,715 d`."""
    if value is None:
        return "-"
    whole = round(value.total_seconds())
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 2 * 86_400:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h" + (f" {minutes:02d} min" if minutes else "")
    return f"{whole // 86_400:,} d"


def moment(value: datetime | int | None) -> str:
    """Return a time (or microseconds since the epoch) as `2026-11-24 06:31:05Z`."""
    return "-" if value is None else utc(value).strftime("%Y-%m-%d %H:%M:%SZ")


def utc(value: datetime | int) -> datetime:
    """Return a time (or microseconds since the epoch) as a datetime in UTC."""
    if isinstance(value, int):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
    return value.astimezone(UTC)


def short(identifier: str | None) -> str:
    """Return as much of an id as a reference needs."""
    return "-" if identifier is None else identifier[:ID_DIGITS]


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], right: Iterable[str] = ()) -> str:
    """Return rows as aligned plain text; columns named in `right` are aligned on their right edge."""
    texts = [[cell(value) for value in row] for row in rows]
    widths = [max([len(header), *(len(row[i]) for row in texts)]) for i, header in enumerate(headers)]
    to_right = {i for i, header in enumerate(headers) if header in set(right)}

    def line(cells: Sequence[str]) -> str:
        padded = [
            c.rjust(w) if i in to_right else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([coloured(line(headers), "bold"), *(line(row) for row in texts)])


def facts(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return names and values, one pair a line; pairs whose value is None are left out."""
    kept = [(name, cell(value, limit=None)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in kept), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in kept)


def cell(value: object, limit: int | None = 60) -> str:
    """Return one value as text on one line; nulls as `null`, long ones cut."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        text = _preview(value)
    elif isinstance(value, float):
        text = repr(value)
    elif isinstance(value, datetime):
        text = value.isoformat(sep=" ")
    else:
        text = str(value)
    text = text.replace("\n", "⏎").replace("\r", "").replace("\t", " ")
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def _preview(value: bytes) -> str:
    """Return the beginning of bytes as Python writes them, and of what is cut the size."""
    text = repr(value[:_BYTES_SHOWN])
    if len(value) <= _BYTES_SHOWN and len(text) <= _BYTES_SHOWN + len("b''"):
        return text
    return f"{text[:_BYTES_SHOWN]}… ({size(len(value))})"


def rows_of(data: Any, limit: int | None = None) -> str:
    """Return an Arrow table as aligned text with a header, at most as many columns as the terminal is wide."""
    import pyarrow.types as kinds

    shown = data if limit is None else data.slice(0, limit)
    names = list(shown.column_names)
    columns = [[cell(value) for value in shown.column(i).to_pylist()] for i in range(len(names))]
    kept = _that_fit(names, columns)
    right = [name for i, name in enumerate(names) if _is_number(kinds, shown.schema.field(i).type)]
    text = table([names[i] for i in kept], zip(*(columns[i] for i in kept), strict=True) if kept else (), right)
    left_out = [names[i] for i in range(len(names)) if i not in kept]
    return text + (f"\n(+ {len(left_out)} columns: {', '.join(left_out)})" if left_out else "")


def room() -> float:
    """Return how many columns of text fit beside each other; no end where nobody sees the edge."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf


def _that_fit(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns that fit beside each other; all of them where nobody sees the edge."""
    left = room()
    kept: list[int] = []
    for i, name in enumerate(names):
        left -= max([len(name), *map(len, columns[i])]) + 2
        if left < -2 and kept:
            break
        kept.append(i)
    return kept


def _is_number(kinds: Any, kind: Any) -> bool:
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def plain(value: Any) -> Any:
    """Return `value` made of what JSON has, losing nothing: times as ISO texts, bytes as base64, NaN as a text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def json_text(value: Any) -> str:
    """Return one JSON document."""
    import json

    return json.dumps(plain(value), ensure_ascii=False, indent=2, allow_nan=False)


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json_text(value))


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    click.echo(near(text), err=True)
