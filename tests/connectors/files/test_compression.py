"""Compressed files: each kind, several members, truncated and damaged ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from dataplat.errors import SourceError

Land = Callable[..., Any]

TEXT = b"a,b\n" + b"".join(b"%d,row %d\n" % (i, i * 7919 % 10007) for i in range(20_000))


def _zip(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: _zip(("in.csv", data)),
}


@pytest.mark.parametrize("kind", list(COMPRESS))
def test_each_compression(land: Land, kind: str) -> None:
    """A compressed file gives the rows of the plain one; rejects name the place in the uncompressed text."""
    landed = land(COMPRESS[kind](TEXT + b"bad\n1,x\n"), f"in.csv.{kind}")
    assert landed.table.num_rows == 20_001
    assert (landed.rejects[0]["line"], landed.rejects[0]["offset"]) == (20_002, len(TEXT))
    (position,) = landed.positions.values()
    assert position["size"] < len(TEXT)


@pytest.mark.parametrize("kind", list(COMPRESS))
def test_the_content_tells_not_the_name(land: Land, kind: str) -> None:
    """Compression is told by the magic number, whatever the file is called."""
    assert land(COMPRESS[kind](TEXT), "in.csv").table.num_rows == 20_000


@pytest.mark.parametrize("kind", ["gz", "zst", "bz2", "xz"])
def test_several_members_in_a_row(land: Land, kind: str) -> None:
    """Concatenated members are one text."""
    whole = COMPRESS[kind](TEXT) + COMPRESS[kind](b"7,x\n")
    assert land(whole, f"in.csv.{kind}").table.num_rows == 20_001


@pytest.mark.parametrize("kind", ["gz", "zst", "bz2", "xz"])
@pytest.mark.parametrize("cut", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_an_error(land: Land, kind: str, cut: float) -> None:
    """A file that breaks off is an error with file and place, wherever it breaks off."""
    data = COMPRESS[kind](TEXT)
    with pytest.raises(SourceError, match=r"in\.csv\.\w+ is truncated or damaged.*(byte|beginning)"):
        land(data[: max(12, int(len(data) * cut))], f"in.csv.{kind}")


@pytest.mark.parametrize("kind", ["gz", "zst", "bz2", "xz", "zip"])
def test_damaged_bytes_are_an_error_or_harmless(land: Land, kind: str) -> None:
    """A flipped byte in the middle is found by the format's own checksum."""
    compress = COMPRESS if kind != "zst" else {"zst": zstandard.ZstdCompressor(write_checksum=True).compress}
    data = bytearray(compress[kind](TEXT))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(SourceError, match="damaged"):
        land(bytes(data), f"in.csv.{kind}")


def test_a_truncated_zip(land: Land) -> None:
    """A zip file without its directory is an error."""
    with pytest.raises(SourceError, match="truncated or damaged"):
        land(COMPRESS["zip"](TEXT)[:5000], "in.csv.zip")


def test_a_zip_of_several_files(land: Land) -> None:
    """Members of one kind are read one after the other, each with its header; rejects name the member."""
    data = _zip(("a.csv", b"a,b\n1,2\n"), ("sub/b.csv", b"b,a\n4,3\nbad\n"), ("__MACOSX/._a.csv", b"x"))
    landed = land(data, "in.zip")
    assert landed.rows == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert landed.rejects[0]["source"].endswith("in.zip:sub/b.csv")
    assert len(landed.positions) == 1


def test_a_zip_of_several_kinds(land: Land) -> None:
    """Members of several or unknown kinds are an error that lists them."""
    with pytest.raises(SourceError, match=r"a\.csv \(csv\), b\.txt \(unknown\)"):
        land(_zip(("a.csv", b"a\n1\n"), ("b.txt", b"")), "in.zip")
    with pytest.raises(SourceError, match="holds no file"):
        land(_zip(), "in.zip")


def test_an_empty_compressed_file(land: Land) -> None:
    """A compressed nothing is an empty file."""
    with pytest.raises(SourceError, match="is empty"):
        land(gzip.compress(b""), "in.csv.gz")
