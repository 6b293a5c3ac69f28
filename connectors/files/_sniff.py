"""Look at the beginning of delimited text: encoding, delimiter, header."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataplat.connectors.files import _types as t
from dataplat.connectors.files._options import FileOptions
from dataplat.connectors.files._records import Bytes8, count_fields, find_quotes, split_records
from dataplat.errors import SourceError

DELIMITERS = b",\t;|"
UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited text is laid out: its rows begin at byte `start`, on line `line` (1-based)."""

    delimiter: int
    names: tuple[str, ...]
    start: int
    line: int


def require_utf8(head: bytes, label: str) -> int:
    """Return the length of a UTF-8 byte order mark; raise `SourceError` for other encodings' marks."""
    for bom, name in _WIDE_BOMS.items():
        if head.startswith(bom):
            raise SourceError(f"{label} is {name}, not UTF-8: convert it, e.g. `iconv -f {name} -t UTF-8`")
    return len(UTF8_BOM) if head.startswith(UTF8_BOM) else 0


def sniff_layout(data: Bytes8, label: str, options: FileOptions) -> Layout:
    """Return the layout of text that begins with `data`; raise `SourceError` where it has no usable header."""
    begin = require_utf8(data[:4].tobytes(), label)
    if not data[begin:].tobytes().strip(b"\r\n"):
        raise SourceError(f"{label} is empty: it has neither a header nor a row")
    body = data[begin:]
    delimiter = ord(options.delimiter) if options.delimiter else _delimiter(body, label)
    if options.columns is not None:
        return Layout(delimiter, checked_names(options.columns, label), begin, 1)
    quotes = find_quotes(body, delimiter, final=True)
    records = split_records(body, quotes)
    first = int(np.flatnonzero(records.ends > records.starts)[0])
    start, end = int(records.starts[first]), int(records.ends[first])
    if quotes.broken and quotes.broken[0][0] <= start:
        raise SourceError(f"{label}: the header (line {first + 1}) has {quotes.broken[0][2]}")
    names = checked_names(_fields(body[start:end].tobytes(), delimiter, label), label)
    last = first + 1 == len(records.starts)
    following = len(body) if last else int(records.starts[first + 1])
    line = int(records.lines[first]) + 2 if last else int(records.lines[first + 1]) + 1
    return Layout(delimiter, names, begin + following, line)


def _fields(record: bytes, delimiter: int, label: str) -> list[str]:
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{label}: the header is not UTF-8 at byte {error.start}: {record[:60]!r}") from error
    if "\0" in text:
        raise SourceError(f"{label}: the header holds NUL bytes, so this is no UTF-8 text (UTF-16 without a mark?)")
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=chr(delimiter)))


def checked_names(names: tuple[str, ...] | list[str], label: str) -> tuple[str, ...]:
    """Return the names of columns; raise `SourceError` where two are equal or one is empty."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        places = ", ".join(str(i) for i, name in enumerate(names, 1) if name == twice[0])
        raise SourceError(
            f"{label}: the header has {twice[0]!r} more than once (columns {places}): "
            "rename one, or give the names of all columns"
        )
    empty = [i for i, name in enumerate(names, 1) if not name]
    if empty:
        raise SourceError(f"{label}: the header gives no name to column {empty[0]}: name it, or give all names")
    return tuple(names)


def require_header(layout: Layout, kinds: list[pa.DataType], label: str) -> None:
    """Raise `SourceError` where the first line is a row like those below it, so that the header is missing.

    Evidence is a number, date or truth value above a column of its own kind, with every other cell fitting its
    column as well; years and other four-digit numbers may be names.
    """
    cells = [t.infer(pa.array([name])) for name in layout.names]
    fits = all(kind.equals(t.STRING) or cell.equals(kind) for cell, kind in zip(cells, kinds, strict=True))
    telling = [
        name
        for name, cell, kind in zip(layout.names, cells, kinds, strict=True)
        if cell.equals(kind) and not cell.equals(t.STRING) and not (name.isdigit() and len(name) == 4)
    ]
    if fits and telling:
        raise SourceError(
            f"{label}: the first line is a row, not a header ({telling[0]!r} is a value like those below it): "
            "give the names of the columns"
        )


def is_delimited(head: bytes, *, whole: bool) -> bool:
    """Return whether text that begins with `head`, or is that, has two lines or more of equally many fields, not one."""
    body = np.frombuffer(head.removeprefix(UTF8_BOM), dtype=np.uint8)
    for candidate in DELIMITERS:
        fields = _widths(body, candidate, final=whole)
        if len(fields) > 1 and fields[0] > 1 and (fields == fields[0]).all():
            return True
    return False


def _delimiter(body: Bytes8, label: str) -> int:
    if label.lower().partition(":")[0].endswith((".tsv", ".tab")):
        return ord("\t")
    sample = body[: 1 << 16]
    best, best_score = ord(","), (0.0, 1)
    for candidate in DELIMITERS:
        fields = _widths(sample, candidate, final=len(sample) == len(body))
        score = (float(np.mean(fields == fields[0])), int(fields[0]))
        if fields[0] > 1 and score > best_score:
            best, best_score = candidate, score
    return best


def _widths(sample: Bytes8, delimiter: int, *, final: bool) -> npt.NDArray[np.int64]:
    """Return the number of fields of the first 100 records that are not blank; the last, which is cut, not among them."""
    quotes = find_quotes(sample, delimiter, final=final)
    records = split_records(sample, quotes)
    full = records.ends > records.starts
    fields = count_fields(sample, records, quotes, delimiter)[full][:100]
    return fields[:-1] if not final and len(fields) > 1 else fields
