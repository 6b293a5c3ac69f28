"""Records and quotes against a reader that goes byte by byte."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import example, given, settings

from dataplat.connectors.files._numbers import oddly_written
from dataplat.connectors.files._records import count_fields, find_quotes, last_boundary, split_records


def _slow(text: bytes) -> tuple[list[bytes], list[bool]]:
    """Return the records of a text and whether each is broken, byte by byte."""
    records, broken = [], []
    begin = 0
    while begin < len(text):
        end, bad = _record_end(text, begin)
        record = text[begin:end]
        records.append(record.removesuffix(b"\r") if end < len(text) or record.endswith(b"\r") else record)
        broken.append(bad)
        begin = end + 1
    return records, broken


def _record_end(text: bytes, begin: int) -> tuple[int, bool]:
    """Return the end of the record at `begin`, or of its first line if it is broken."""
    at, field_start = begin, True
    while at < len(text):
        byte = text[at : at + 1]
        if byte == b'"' and field_start:
            at = _closing(text, at + 1)
            if at < 0 or text[at + 1 : at + 2] not in {b"", b",", b"\n", b"\r"}:
                line = text.find(b"\n", begin)
                return (line if line >= 0 else len(text)), True
        elif byte == b"\n":
            return at, False
        field_start = byte == b","
        at += 1
    return len(text), False


def _closing(text: bytes, at: int) -> int:
    while (at := text.find(b'"', at)) >= 0:
        if text[at + 1 : at + 2] != b'"':
            return at
        at += 2
    return -1


@settings(max_examples=600)
@given(st.text(alphabet='a",\n', max_size=24).map(str.encode))
@example(b'a,"\n')
@example(b'"a"b"\nc\n')
@example(b'"x\ny","z"w\n"q"\n')
def test_records_and_broken_lines(text: bytes) -> None:
    """Quotes, doubled quotes, stray quotes and open ones give the records that a patient reader finds."""
    data = np.frombuffer(text, dtype=np.uint8)
    quotes = find_quotes(data, ord(","), final=True)
    records = split_records(data, quotes)
    got = [text[begin:end] for begin, end in zip(records.starts, records.ends, strict=True)]
    expected, broken = _slow(text)
    assert got == expected
    begins = {begin for begin, _, _ in quotes.broken}
    assert [int(begin) in begins for begin in records.starts] == broken
    assert [int(line) for line in records.lines] == [text[: int(begin)].count(b"\n") for begin in records.starts]


@settings(max_examples=300)
@given(st.text(alphabet='a",\n', max_size=24).map(str.encode), st.integers(0, 24))
def test_a_cut_is_a_records_end(text: bytes, size: int) -> None:
    """The last boundary in the beginning of a text is one of the whole text's, unless a line was broken."""
    if _slow(text)[1].count(True):
        return
    data = np.frombuffer(text[:size], dtype=np.uint8)
    stop = last_boundary(data, find_quotes(data, ord(","), final=False))
    expected, position = {0}, 0
    for record in _slow(text)[0]:
        position += len(record) + 1
        expected.add(position)
    assert stop in expected


def test_fields_are_counted() -> None:
    """Delimiters inside quotes are none."""
    data = np.frombuffer(b'a,b\n"a,b"\n,,\n\n', dtype=np.uint8)
    quotes = find_quotes(data, ord(","), final=True)
    assert count_fields(data, split_records(data, quotes), quotes, ord(",")).tolist() == [2, 1, 3, 1]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(["0", "-0.5", "0.5", "12", "-3", "a0", "10:05", ""]), min_size=1, max_size=6),
    st.sampled_from(["05", "0x1", "+5", "-0", "-01", " 5", "\t5", '"05"']),
    st.integers(0, 6),
    st.integers(0, 5),
)
def test_odd_numbers_are_spotted(plain: list[str], odd: str, at: int, padding: int) -> None:
    """A leading zero, plus, negative zero or space is seen anywhere in a block, and nothing else is."""
    data = np.frombuffer(",".join(plain).encode() + b"\n" * padding, dtype=np.uint8)
    assert not oddly_written(data, ord(","))
    plain.insert(min(at, len(plain)), odd)
    filler = "1,2\n" * (1 << 16)
    for begin in ("", filler, filler[:-3], filler[:-2], filler[:-1]):
        text = (begin + "\n" + ",".join(plain)).encode() + b"\n" * padding
        assert oddly_written(np.frombuffer(text, dtype=np.uint8), ord(","))
