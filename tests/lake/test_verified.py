"""Engines get a part's file only after its bytes were found to be its name; what was found is remembered."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pytest

from dataplat.errors import IntegrityError
from dataplat.lake import verified
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.parts import PartWriter
from dataplat.lake.stores import FileStore, MemoryStore
from dataplat.lake.verified import Entry, Record, mark_of, verified_paths


@pytest.fixture
def cache(tmp_path):
    """A cache of its own."""
    return tmp_path / "cache"


def written(store, rows=3):
    """Parts of one row each in a store."""
    schema = pa.schema([("a", pa.int64())])
    with Stage(store) as stage, PartWriter(stage, schema, target_rows=1, row_group_rows=1, threads=0) as writer:
        writer.write(pa.record_batch({"a": list(range(rows))}))
        parts = writer.close()
        stage.flush()
    return parts


@pytest.fixture
def hashed(monkeypatch):
    """The files that are hashed."""
    seen = []
    original = verified._verified

    def spy(part, path):
        seen.append(path.name)
        return original(part, path)

    monkeypatch.setattr(verified, "_verified", spy)
    return seen


def flip(path: Path, *, keep_time=False):
    """Turn one bit in the middle of a file."""
    found = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_files_are_hashed_once(tmp_path, cache, hashed):
    """The second time nothing is hashed, and the files are those of the store, in the order of the parts."""
    store = FileStore(tmp_path / "lake")
    parts, objects = written(store), Objects(store)
    first = verified_paths(objects, [*parts, parts[0]], cache=cache)
    assert len(hashed) == 3
    assert first == verified_paths(objects, [*parts, parts[0]], cache=cache)
    assert len(hashed) == 3
    assert first == [str(objects.local_path(part.id, ".parquet")) for part in [*parts, parts[0]]]


def test_a_touched_file_is_hashed_anew(tmp_path, cache, hashed):
    """A change after the verification is found, whether or not it is damage."""
    store = FileStore(tmp_path / "lake")
    parts = written(store)
    path = Path(verified_paths(Objects(store), parts, cache=cache)[1])
    os.utime(path)
    verified_paths(Objects(store), parts, cache=cache)
    assert len(hashed) == 4
    flip(path)
    with pytest.raises(IntegrityError, match=f"{parts[1].id} is damaged .*its SHA-256 is not its name"):
        verified_paths(Objects(store), parts, cache=cache)


def test_damage_and_loss_are_named(tmp_path, cache):
    """A damaged part, and one that is gone, is named, each time it is asked for."""
    store = FileStore(tmp_path / "lake")
    parts, objects = written(store), Objects(store)
    flip(objects.local_path(parts[0].id, ".parquet"))
    objects.local_path(parts[1].id, ".parquet").unlink()
    for _ in range(2):
        with pytest.raises(IntegrityError, match=f"part {parts[0].id} is damaged"):
            verified_paths(objects, parts[:1], cache=cache)
        with pytest.raises(IntegrityError, match=f"part {parts[1].id} is missing"):
            verified_paths(objects, parts[1:], cache=cache)


def test_remote_parts_come_to_the_cache(cache):
    """Parts of a store without files are fetched once; a copy that was damaged is fetched again."""
    store = MemoryStore()
    parts, objects = written(store), Objects(store)
    paths = verified_paths(objects, parts, cache=cache)
    assert all(Path(path).is_relative_to(cache) for path in paths)
    store.delete(f"objects/{parts[0].id[:2]}/{parts[0].id[2:]}.parquet")
    assert paths == verified_paths(objects, parts, cache=cache)
    flip(Path(paths[1]))
    assert paths == verified_paths(objects, parts, cache=cache)
    flip(Path(paths[0]))
    with pytest.raises(IntegrityError, match="is missing in the store"):
        verified_paths(objects, parts, cache=cache)


def test_staged_parts_have_files(cache):
    """What is staged and not flushed can be read by engines too."""
    schema = pa.schema([("a", pa.int64())])
    with Stage(MemoryStore()) as stage, PartWriter(stage, schema, threads=0) as writer:
        writer.write(pa.record_batch({"a": [1]}))
        parts = writer.close()
        assert Path(verified_paths(Objects(MemoryStore(), stage), parts, cache=cache)[0]).is_file()


def test_a_cache_that_cannot_be_written(tmp_path, hashed):
    """Without a place to remember in, every call verifies, and works."""
    (tmp_path / "cache").write_text("a file, not a folder")
    store = FileStore(tmp_path / "lake")
    parts = written(store)
    for calls in (1, 2):
        verified_paths(Objects(store), parts, cache=tmp_path / "cache")
        assert len(hashed) == 3 * calls


def test_torn_lines_are_forgotten(tmp_path):
    """Whatever a crash leaves of the record, intact lines before and after it hold."""
    files = [tmp_path / name for name in "abc"]
    entries = [
        Entry(file, name, mark_of(file)) for name, file in zip("abc", files, strict=True) if file.touch() is None
    ]
    file = tmp_path / "record"
    Record(file).add(entries[:2])
    whole = file.read_bytes()
    for cut in range(len(whole) + 1):
        file.write_bytes(whole[:cut])
        Record(file).add(entries[2:])
        record = Record(file)
        assert record.holds(files[2], "c")
        assert not record.holds(files[2], "a")
        assert record.holds(files[0], "a") or cut < len(whole) // 2 + 2


def test_the_record_is_rewritten_when_most_is_stale(tmp_path, monkeypatch):
    """The record does not grow for ever, and files that are gone leave it."""
    monkeypatch.setattr(verified, "_COMPACT", 2000)
    file, gone = tmp_path / "part", tmp_path / "gone"
    file.touch()
    gone.touch()
    Record(tmp_path / "record").add([Entry(gone, "p", mark_of(gone))])
    gone.unlink()
    for _ in range(60):
        Record(tmp_path / "record").add([Entry(file, "p", mark_of(file))])
    assert (tmp_path / "record").stat().st_size < 4000
    assert Record(tmp_path / "record").holds(file, "p")
    assert b"gone" not in (tmp_path / "record").read_bytes()


def _append(record: Path, files: list[Path]) -> None:
    for file in files:
        Record(record).add([Entry(file, file.name, mark_of(file))])


def test_processes_append_at_once(tmp_path):
    """Nothing that concurrent processes verified is lost."""
    files = [tmp_path / f"part{i}" for i in range(40)]
    for file in files:
        file.touch()
    context = get_context("fork")
    racers = [context.Process(target=_append, args=(tmp_path / "record", files[i::4])) for i in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    record = Record(tmp_path / "record")
    assert all(record.holds(file, file.name) for file in files)
