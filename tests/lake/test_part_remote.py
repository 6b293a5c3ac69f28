"""Parts far away: only what is asked for is fetched, in few requests, and nothing wrong is returned."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest

from dataplat.errors import IntegrityError
from dataplat.lake import _part_remote
from dataplat.lake._object_keys import generation_key, object_key
from dataplat.lake._part_open import open_part
from dataplat.lake._part_remote import CopiedPart, RangedPart, coalesced
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.parts import PartWriter
from dataplat.lake.stores import CachingStore, FileStore, MemoryStore
from dataplat.testing.store_faults import CountingStore

ROWS, GROUP = 60_000, 20_000


def table(columns=10):
    """Random numbers, a column of text and one of lists."""
    rng = np.random.default_rng(7)
    numbers = {f"c{i}": rng.random(ROWS) for i in range(columns)}
    text = pa.array([f"text {i % 7}" for i in range(ROWS)])
    return pa.table({"k": np.arange(ROWS), **numbers, "t": text, "l": pa.array([[i, i + 1] for i in range(ROWS)])})


def written(store, rows=None):
    """The one part of the table in a store."""
    rows = table() if rows is None else rows
    with Stage(store) as stage, PartWriter(stage, rows.schema, row_group_rows=GROUP, threads=0) as writer:
        for batch in rows.to_batches():
            writer.write(batch)
        (part,) = writer.close()
        stage.flush()
    return part


@pytest.fixture(scope="module")
def held():
    """A store of one part."""
    store = MemoryStore()
    return store, written(store)


def test_a_column_costs_the_footer_and_its_chunk(held):
    """One request for the footer, one for the chunk of a row group; two columns side by side are one request, too."""
    store, part = held
    counted = CountingStore(store)
    opened = open_part(Objects(counted), part)
    assert isinstance(opened, RangedPart)
    assert counted.calls == {"read": 1}
    assert counted.bytes["read"] <= 64 << 10
    counted.reset()
    read = opened.read(1, ["c3"])
    assert read.equals(table().select(["c3"]).slice(GROUP, GROUP))
    assert counted.calls == {"read": 1}
    assert counted.bytes["read"] < 1.1 * GROUP * 8
    counted.reset()
    assert opened.read(0, ["c3", "c4"]).num_rows == GROUP
    assert counted.calls == {"read": 1}
    assert opened.read(0, []).num_columns == 0


def test_every_column_is_as_in_a_local_file(held, tmp_path):
    """Whatever columns, in whatever order, with or without a mask: the bytes are those of the local file."""
    store, part = held
    local = FileStore(tmp_path)
    assert written(local) == part
    near, far = open_part(Objects(local), part), open_part(Objects(store), part)
    keep = pa.array([i % 3 == 0 for i in range(GROUP)])
    for columns in (["l", "t", "k"], ["t"], table().column_names):
        for mask in (None, keep):
            assert far.read(2, columns, mask).equals(near.read(2, columns, mask))


def test_spans_are_put_together():
    """Near spans are one request; far ones, and more than a request may bring, are several; every byte is in one."""
    gap, most = _part_remote.GAP, _part_remote.MOST
    assert coalesced([(0, 10), (10, 20)]) == [(0, 20)]
    assert coalesced([(gap + 20, gap + 30), (0, 20)]) == [(0, gap + 30)]
    assert coalesced([(0, 20), (gap + 21, gap + 30)]) == [(0, 20), (gap + 21, gap + 30)]
    assert coalesced([(5, 5 + 2 * most + 1)]) == [(5, 5 + most), (5 + most, 5 + 2 * most), (5 + 2 * most, 6 + 2 * most)]
    assert coalesced([]) == []


def test_a_small_part_is_one_request():
    """Of a part of a few kilobytes everything comes at once."""
    store = MemoryStore()
    part = written(store, pa.table({"a": list(range(1000))}))
    counted = CountingStore(store)
    assert open_part(Objects(counted), part).read(0, ["a"]).num_rows == 1000
    assert counted.calls == {"read": 1}


def test_a_long_footer_is_two_requests():
    """A footer that is longer than what is read at once is found all the same."""
    store = MemoryStore()
    rows = pa.table({f"column number {i:04}": np.random.default_rng(i).random(300) for i in range(500)})
    part = written(store, rows)
    counted = CountingStore(store)
    opened = open_part(Objects(counted), part)
    assert counted.calls == {"read": 2}
    assert opened.read(0, rows.column_names).equals(rows)


def damaged(store, part, at):
    """A copy of the store in which one bit of the part is turned."""
    data = bytearray(store.read(object_key(part.id, ".parquet")))
    data[at] ^= 1
    other = MemoryStore()
    other.create(object_key(part.id, ".parquet"), data)
    return other


def test_no_turned_bit_gives_a_wrong_row(held):
    """A bit that is turned anywhere in what is read raises; elsewhere in the part it changes nothing."""
    store, part = held
    opened = open_part(Objects(store), part)
    good = opened.read(0, ["c1", "l"])
    spans = opened.spans(0, ["c1", "l"])
    places = [at for start, stop in spans for at in np.linspace(start, stop - 1, 25, dtype=int)]
    for at in places:
        with suppress(IntegrityError):  # not of a bit that no reader looks at, in the header of a page
            assert open_part(Objects(damaged(store, part, at)), part).read(0, ["c1", "l"]).equals(good)
    for at in (part.size - 1000, part.size - 9, part.size - 1):
        with pytest.raises(IntegrityError, match=part.id):
            open_part(Objects(damaged(store, part, at)), part)
    other = opened.spans(1, ["c1"])[0][0] + 100
    assert open_part(Objects(damaged(store, part, other)), part).read(0, ["c1", "l"]).equals(good)


def test_what_is_cut_short_or_gone_is_named(held):
    """An object that ends early, and one that is not there, are named, whenever that is found."""
    store, part = held
    cut = MemoryStore()
    cut.create(object_key(part.id, ".parquet"), store.read(object_key(part.id, ".parquet"))[:-100])
    with pytest.raises(IntegrityError, match=f"part {part.id} is damaged"):
        open_part(Objects(cut), part)
    with pytest.raises(IntegrityError, match=f"part {part.id} is missing"):
        open_part(Objects(MemoryStore()), part)
    other = MemoryStore()
    other.create(object_key(part.id, ".parquet"), store.read(object_key(part.id, ".parquet")))
    opened = open_part(Objects(other), part)
    other.delete(object_key(part.id, ".parquet"))
    with pytest.raises(IntegrityError, match=f"part {part.id} is missing"):
        opened.read(0, ["k"])


def test_a_generation_is_read(held):
    """A part that lies under another of its keys is found, also while it is being read."""
    store, part = held
    other = MemoryStore()
    data = store.read(object_key(part.id, ".parquet"))
    other.create(generation_key(part.id, ".parquet", "01234567"), data)
    assert open_part(Objects(other), part).read(0, ["k"]).num_rows == GROUP


def test_a_copy_is_read_like_a_file(held, tmp_path):
    """What lies in the cache is asked of nobody; where the copy is damaged the part is fetched again."""
    store, part = held
    counted = CountingStore(store)
    objects = Objects(CachingStore(counted, folder=tmp_path))
    objects.read(part.id, ".parquet")
    counted.reset()
    opened = open_part(objects, part)
    assert isinstance(opened, CopiedPart)
    good = opened.read(0, ["k", "c1"])
    assert not counted.calls
    copy = objects.store.cache.path(part.id, ".parquet")
    data = bytearray(copy.read_bytes())
    data[opened.metadata.row_group(0).column(2).data_page_offset + 5000] ^= 1
    copy.write_bytes(data)
    assert open_part(objects, part).read(0, ["k", "c1"]).equals(good)
    assert counted.calls == {"read": 2}
    assert not copy.exists()
    copy.write_bytes(data[:-1])
    assert open_part(objects, part).read(0, ["k", "c1"]).equals(good)
