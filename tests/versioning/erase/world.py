"""A lake with a past, pictures of all that can be read of it, and a look into everything that it stores."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from dataplat._lake import Lake
from dataplat.errors import DataplatError
from dataplat.lake.stores import MemoryStore
from dataplat.versioning.commit import load_commit
from dataplat.versioning.history import log
from dataplat.versioning.lakefile import create_lake

TOKEN = "unmistakable-jo-7c1d"
JO = 4242
ZSTD = b"\x28\xb5\x2f\xfd"


def new_store():
    """Return a store with an empty lake."""
    store = MemoryStore()
    create_lake(store)
    return store


def open_on(store):
    """Return the lake in a store, as a process that has seen nothing of it."""
    return Lake(store, "test", "memory")


def rows(*ids, text="x", **more):
    """Return rows; those of the person hold the token."""
    names = [f"{TOKEN} {text}" if id == JO else f"{text} {id}" for id in ids]
    return pa.table({"id": pa.array(ids, pa.int64()), "name": names} | {k: [v] * len(ids) for k, v in more.items()})


def told(lake):
    """Build a dataset `people` in many versions, a branch, a merge, tags; other datasets have some of the same rows."""
    lake.ingest(rows(1, 2, JO), "people", key="id")
    lake.ingest(rows(10, JO), "copy")
    lake.ingest(rows(3, 4), "people")
    lake.tag("v1")
    lake.ingest(rows(2, JO, 5, text="y"), "people", mode="upsert")
    lake.diff("people~1", "people")
    _ = lake["people"].content_id  # keeps a before-image
    lake.branch("exp")
    lake.delete("people", "id = 3")
    lake.ingest(rows(6, text="z"), "people", branch="exp")
    lake.ingest(rows(JO, text="z"), "people", mode="upsert", branch="exp")
    lake.compact("people", branch="exp", target_bytes=1)
    lake.merge("exp", policy="theirs")
    lake.evolve("people", add={"age": "int64"}, rename={"name": "called"})
    lake.tag("v2")
    lake.ingest(rows(7, 8).rename_columns(["id", "called"]).append_column("age", [[1, 2]]), "people")
    lake.delete("people", "id > 4000")
    lake.compact("people")
    lake.rename("people", "folk")
    lake.branch("gone", "main~3")
    lake.delete_branch("gone")


def picture(store):
    """Return what every name of a version leads to: by reference, the sorted rows."""
    lake = open_on(store)
    found = {}
    for ref in [*(head.branch for head in lake.branches()), *(tag.name for tag in lake.tags())]:
        commit = commit_at(lake, ref)
        for name in commit.datasets(lake.objects.read, dropped=True):
            for back in range(50):
                reference = f"{name}@{ref}~{back}" if back else f"{name}@{ref}"
                try:
                    found[reference] = shown(lake[reference])
                except DataplatError:
                    if back:
                        break
            for entry in log(lake.objects, commit, name):
                version = entry.change.version
                if version is not None and entry.change.mode != "erase":
                    found[f"{entry.dataset}@id:{version}"] = shown(lake[f"{entry.dataset}@id:{version}"])
    return found


def commit_at(lake, ref):
    """Return the commit that a branch or a tag names."""
    tags = {tag.name: tag.commit_id for tag in lake.tags()}
    return load_commit(lake.objects, tags[ref]) if ref in tags else lake.refs.head(ref).commit


def shown(version):
    """Return the rows of a version in an order that depends on nothing else."""
    return sorted(map(repr, version.to_arrow().to_pylist()))


def without(before, dataset=("people", "folk"), token=TOKEN):
    """Return a picture without the person's rows of a dataset."""
    return {
        ref: [row for row in held if token not in row] if ref.partition("@")[0] in dataset else held
        for ref, held in before.items()
    }


def leaks(store, token=TOKEN):
    """Return the keys under which `token` is stored: raw, in zstd frames, or as a value or statistic of Parquet."""
    return [info.key for info in store.list("") if holds(store.read(info.key), token.encode())]


def holds(data, token):
    """Return whether `token` is in the bytes of a file or in what they decode to."""
    return any(token in form for form in _forms(data))


def _forms(data):
    yield data
    yield from _frames(data)
    for parquet in (data, data.partition(b"\n")[2]):  # a memo has its hash in front
        if parquet[:4] == b"PAR1" == parquet[-4:]:
            yield from _parquet(parquet)


def _frames(data):
    at = data.find(ZSTD)
    while at >= 0:
        reader = zstandard.ZstdDecompressor().decompressobj()
        try:
            yield reader.decompress(data[at:])
        except zstandard.ZstdError:
            at = data.find(ZSTD, at + 1)
            continue
        left = len(reader.unused_data)
        at = data.find(ZSTD, len(data) - left) if left else -1


def _parquet(data):
    file = pq.ParquetFile(pa.BufferReader(data))
    for row in file.read().to_pylist():
        yield b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())
    for group in range(file.metadata.num_row_groups):
        for column in range(file.metadata.num_columns):
            stats = file.metadata.row_group(group).column(column).statistics
            if stats is not None and stats.has_min_max:
                yield f"{stats.min} {stats.max}".encode()


def packed_examples():
    """Return a value in a compressed column, and a text in the second of two frames."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": ["token-one"] * 9}), sink, compression="zstd", use_dictionary=True)
    frames = zstandard.ZstdCompressor().compress(b"x" * 99) + zstandard.ZstdCompressor().compress(b"token-one" * 9)
    return sink.getvalue(), frames
