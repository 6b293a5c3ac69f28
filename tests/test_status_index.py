"""The files of a version as bytes: what was taken in comes out, and other bytes are none."""

from __future__ import annotations

from array import array
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given

from dataplat._status_index import FileRow, Index
from dataplat.connectors.files._folder import Listing, list_files

NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=4)
INT64 = st.integers(-(2**63), 2**63 - 1)
ROWS = st.dictionaries(NAMES, st.tuples(INT64, INT64, st.binary(min_size=32, max_size=32).map(bytes.hex)), min_size=1)
SHA = "0f" * 32


@given(rows=ROWS)
def test_rows_come_out_as_they_went_in(rows: dict[str, FileRow]) -> None:
    """Encoded and decoded, each path has the size, time and digest that it had."""
    made = Index.of(rows)
    assert made is not None
    index = Index.decode(made.encode())
    assert index == made
    files = {
        name: (size, time, index.sha256(place))
        for place, (name, size, time) in enumerate(zip(index.file_names, index.sizes, index.times, strict=True))
    }
    assert files == rows


@given(rows=ROWS, other=st.dictionaries(NAMES, st.tuples(INT64, INT64), min_size=1))
def test_a_listing_is_found_by_name(rows: dict[str, FileRow], other: dict[str, tuple[int, int]]) -> None:
    """Each file has the place of its name or none; a listing is that of the version where names, sizes and times are."""
    index = Index.of(rows)
    assert index is not None
    for files in (other, {name: other.get(name, row[:2]) for name, row in rows.items()}):
        names = sorted(files, key=lambda name: name.replace("/", "\0"))
        sizes, times = (array("q", [files[name][n] for name in names]) for n in range(2))
        listing = Listing("/", names, sizes, times, ())
        places = list(index.places(listing))
        assert [None if place is None else index.file_names[place] for place in places] == [
            name if name in rows else None for name in names
        ]
        differing = dict(index.differing(listing))
        assert differing.items() <= dict(enumerate(places)).items()
        for number, name in enumerate(names):
            assert number in differing or files[name] == rows[name][:2]
        assert index.is_listing(listing) == (files == {name: row[:2] for name, row in rows.items()})


def test_a_folder_is_that_of_its_index(tmp_path: Path) -> None:
    """What is listed on a disk is compared as it is, one nanosecond and one byte included."""
    for name in ("a/b", "a.b", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = list_files(tmp_path)
    rows = {name: (size, time, SHA) for name, size, time in zip(files.names, files.sizes, files.times, strict=True)}
    index = Index.of(rows)
    assert index is not None
    assert index.is_listing(files)
    for size, time in ((1, 0), (0, 1)):
        other = Index.of(rows | {"c": (rows["c"][0] + size, rows["c"][1] + time, SHA)})
        assert other is not None
        assert not other.is_listing(files)


def test_blocks_that_are_the_same_are_passed_over() -> None:
    """Of many files of the same names, only those near to one that differs are looked at; it is among them."""
    names = [f"{number:05}" for number in range(3000)]
    index = Index.of({name: (number, number, SHA) for number, name in enumerate(names)})
    assert index is not None
    for at in (0, 1023, 1024, 2047, 2999):
        for change in (0, 1):
            columns = array("q", range(3000)), array("q", range(3000))
            columns[change][at] += 1
            differing = dict(index.differing(Listing("/", names, *columns, ())))
            assert differing.get(at) == at
            assert len(differing) <= 1024


def test_rows_that_are_no_files_have_no_index() -> None:
    """Null, a digest that is none, a path that no file can have, or no row at all: these are compared row by row."""
    assert Index.of({"a": (1, 1, SHA)}) is not None
    for rows in (
        {},
        {"a": (None, 1, SHA)},
        {"a": (1, None, SHA)},
        {"a": (1, 1, None)},
        {"a": (1, 1, "of another kind")},
        {"a": (1, 1, SHA.upper())},
        {"a": (1, 1, SHA[:-2]), "b": (1, 1, SHA + "00")},
        {"a\0b": (1, 1, SHA)},
        {None: (1, 1, SHA), "b": (1, 1, SHA)},
    ):
        assert Index.of(rows) is None  # type: ignore[arg-type]


def test_other_bytes_are_none() -> None:
    """Bytes that were cut off, or are of something else, are no index."""
    index = Index.of({"a": (1, 1, SHA)})
    assert index is not None
    data = index.encode()
    assert [Index.decode(data[:length]) for length in range(len(data))] == [None] * len(data)
    assert Index.decode(data + b"x") is None
