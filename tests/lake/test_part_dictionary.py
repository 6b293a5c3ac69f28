"""Dictionaries of chunks are read without data pages, and only where they say all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataplat.lake._part_dictionary import Dictionaries

FEW = ["ab", "", "é", None, "日本"] * 400


class Counted:
    """A file that counts the bytes read of it, and where they lie."""

    def __init__(self, path: Path) -> None:
        self.file = pa.OSFile(str(path))
        self.spans: list[tuple[int, int]] = []

    def read_at(self, size: int, start: int) -> bytes:
        """Read `size` bytes from `start`."""
        self.spans.append((start, start + size))
        return bytes(self.file.read_at(size, start))


def written(path: Path, values: list[str | None], **options: Any) -> pq.FileMetaData:
    """Write one column of text; return the footer."""
    pq.write_table(pa.table({"c": pa.array(values, pa.string())}), path, **({"write_page_checksum": True} | options))
    return pq.read_metadata(path)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
@pytest.mark.parametrize("pages", ["1.0", "2.0"])
def test_a_dictionary_is_read_alone(tmp_path: Path, compression: str, pages: str) -> None:
    """The values of a chunk are read from its dictionary page, no byte of its data pages, whatever codec and page version."""
    metadata = written(tmp_path / "f", FEW, compression=compression, data_page_version=pages, row_group_size=600)
    counted = Counted(tmp_path / "f")
    dictionaries = Dictionaries(counted, metadata, crc=True)  # type: ignore[arg-type]
    for group in range(metadata.num_row_groups):
        values = dictionaries.of(group, 0)
        assert values is not None
        assert sorted(values.to_pylist()) == sorted({value for value in FEW if value is not None})
        chunk = metadata.row_group(group).column(0)
        assert counted.spans.pop() == (chunk.dictionary_page_offset, chunk.data_page_offset)
    assert not counted.spans


def test_a_chunk_that_fell_back_has_none(tmp_path: Path) -> None:
    """Where the writer gave the dictionary up midway, or made none, values lie outside it: none is given."""
    many = [f"value {number}" for number in range(20_000)]
    for options in ({"dictionary_pagesize_limit": 1000}, {"use_dictionary": False}):
        metadata = written(tmp_path / "f", many, data_page_size=2000, **options)
        assert Dictionaries(pa.OSFile(str(tmp_path / "f")), metadata, crc=True).of(0, 0) is None


def test_a_damaged_page_gives_none(tmp_path: Path) -> None:
    """With any one bit of header or body of the page turned there is no dictionary, or the same: never another."""
    path = tmp_path / "f"
    metadata = written(path, FEW, compression="none")
    right = Dictionaries(pa.OSFile(str(path)), metadata, crc=True).of(0, 0)
    assert right is not None
    chunk, data = metadata.row_group(0).column(0), path.read_bytes()
    gone = 0
    for at in range(chunk.dictionary_page_offset, chunk.data_page_offset):
        for bit in range(8):
            turned = bytearray(data)
            turned[at] ^= 1 << bit
            found = Dictionaries(pa.BufferReader(bytes(turned)), metadata, crc=True).of(0, 0)
            assert found is None or found.equals(right)
            gone += found is None
    assert gone > 100


def test_a_page_without_checksum_is_not_believed_of_our_own(tmp_path: Path) -> None:
    """Our parts carry checksums: a page that lacks its own is damaged; other files need not have them."""
    metadata = written(tmp_path / "f", FEW, write_page_checksum=False)
    file = pa.OSFile(str(tmp_path / "f"))
    assert Dictionaries(file, metadata, crc=True).of(0, 0) is None
    assert Dictionaries(file, metadata, crc=False).of(0, 0) is not None
