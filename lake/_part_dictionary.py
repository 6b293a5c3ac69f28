"""Reads the dictionary of a chunk of texts without its data pages.

Where every data page of a chunk is encoded by the dictionary, no value lies outside it. pyarrow says of a chunk only
which encodings occur in it, and the dictionary's own is among them; so `encoding_stats` are read off the footer itself
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift). Whatever is not as expected gives
no dictionary: then the rows tell, and reading them finds the damage.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from dataplat.lake._part_footer import MAGIC, _fields, _integer, _list_size, _skip

MOST_BYTES: Final = 1 << 20
"""Of a dictionary page; who has a longer one does not repeat much."""

_STRUCT: Final = 12
_ROW_GROUPS, _COLUMNS, _META_DATA, _ENCODING_STATS = 4, 1, 3, 13
_DATA_PAGES: Final = frozenset({0, 3})
_DICTIONARY_PAGE, _DICTIONARY_HEADER = 2, 7
_PLAIN: Final = frozenset({0, 2})
_BY_DICTIONARY: Final = frozenset({2, 8})
_CODECS: Final = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4": "lz4_raw"}


class Dictionaries:
    """The dictionaries of one file. With `crc`, a page without a checksum is not believed."""

    def __init__(self, file: pa.NativeFile, metadata: pq.FileMetaData, *, crc: bool) -> None:
        self._file = file
        self._metadata = metadata
        self._crc = crc

    def of(self, row_group: int, leaf: int) -> pa.StringArray | None:
        """Return the values that a chunk may hold beside null; None where its data pages have to be asked."""
        chunk = self._metadata.row_group(row_group).column(leaf)
        if chunk.physical_type != "BYTE_ARRAY" or not chunk.has_dictionary_page:
            return None
        start, end = chunk.dictionary_page_offset, chunk.data_page_offset
        if start is None or not 0 < end - start <= MOST_BYTES:
            return None
        try:
            if not self._alone(row_group, leaf):
                return None
            return _decoded(self._file.read_at(end - start, start), chunk.compression, crc=self._crc)
        except (OSError, pa.ArrowException, ValueError, LookupError):
            return None

    def _alone(self, row_group: int, leaf: int) -> bool:
        """Whether all data pages of a chunk are encoded by the dictionary."""
        thrift, groups = self._chunks
        return _by_dictionary(thrift, groups[row_group][leaf])

    @cached_property
    def _chunks(self) -> tuple[bytes, list[list[int]]]:
        """The footer, and where each chunk begins in it: by row group and leaf."""
        sink = pa.BufferOutputStream()
        self._metadata.write_metadata_file(sink)
        thrift = sink.getvalue().to_pybytes()[len(MAGIC) : -len(MAGIC) - 4]
        groups = _structs(thrift, _struct(thrift, 0)[_ROW_GROUPS])
        return thrift, [_structs(thrift, _struct(thrift, group)[_COLUMNS]) for group in groups]


def _struct(data: bytes, at: int) -> dict[int, int]:
    """Return where the value of each field begins."""
    return {number: begin for number, _, begin, _ in _fields(data, at)}


def _structs(data: bytes, at: int) -> list[int]:
    """Return where each struct of a list begins."""
    size, at = _list_size(data, at)
    found = []
    for _ in range(size):
        found.append(at)
        at = _skip(data, at, _STRUCT)
    return found


def _by_dictionary(data: bytes, column: int) -> bool:
    stats = _struct(data, _struct(data, column)[_META_DATA]).get(_ENCODING_STATS)
    if stats is None:
        return False
    pages = [{n: _integer(data, begin)[0] for n, begin in _struct(data, at).items()} for at in _structs(data, stats)]
    encodings = {page[2] for page in pages if page[1] in _DATA_PAGES and page[3]}
    return bool(encodings) and encodings <= _BY_DICTIONARY


def _decoded(page: bytes, compression: str, *, crc: bool) -> pa.StringArray | None:
    """Return the values of a dictionary page, given with its header."""
    fields = _fields(page, 0)
    begin = (fields[-1][3] if fields else 0) + 1
    at = {number: start for number, _, start, _ in fields}
    kind, whole, packed = (_integer(page, at[number])[0] for number in (1, 2, 3))
    header = {number: _integer(page, at_)[0] for number, _, at_, _ in _fields(page, at[_DICTIONARY_HEADER])[:2]}
    body = page[begin : begin + packed]
    if kind != _DICTIONARY_PAGE or header[2] not in _PLAIN or len(body) != packed or not 0 <= whole <= 64 * MOST_BYTES:
        return None
    if 4 in at:
        if zlib.crc32(body) != _integer(page, at[4])[0] & 0xFFFFFFFF:
            return None
    elif crc:
        return None
    if compression != "UNCOMPRESSED":
        body = pa.Codec(_CODECS[compression]).decompress(body, decompressed_size=whole, asbytes=True)
    return _texts(body, header[1]) if len(body) == whole else None


def _texts(body: bytes, count: int) -> pa.StringArray | None:
    """Return `count` texts, each behind its length (4 bytes); None where they do not fill the page exactly."""
    found, at = [], 0
    for _ in range(count):
        end = at + 4 + int.from_bytes(body[at : at + 4], "little")
        if end > len(body):
            return None
        found.append(body[at + 4 : end].decode())
        at = end
    return pa.array(found, pa.string()) if at == len(body) else None
