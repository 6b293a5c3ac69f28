"""Verification finds every object that is flipped, cut, emptied, exchanged or gone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandera.polars as pan
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import MemoryStore
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning.lakefile import create_lake

POSITIVE = pan.DataFrameSchema({"id": pan.Column(int), "n": pan.Column(int, pan.Check.ge(0))})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every object of a lake that has some of everything."""
    root = tmp_path_factory.mktemp("verify")
    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "test", "memory")
    lake.ingest(pa.table({"id": range(50), "n": range(50)}), "d", key="id", contract=POSITIVE)
    lake.tag("v1")
    lake.delete("d", "id < 5")
    lake.branch("exp")
    lake.ingest(pa.table({"id": [7, 90], "n": [1, -1]}), "d", mode="upsert", contract=POSITIVE, branch="exp")
    (root / "in").mkdir()
    for n in range(100):
        (root / "in" / f"a-file-of-a-rather-long-name-{n}.csv").write_text(f"id,n\n{1000 + n},1\n")
    (root / "in" / "rejected.csv").write_text("id,n\n1\n")
    lake.ingest(root / "in", "files")
    (root / "tree").mkdir()
    (root / "tree" / "large.bin").write_bytes(bytes(range(256)) * 8000)
    (root / "tree" / "small.txt").write_text("x")
    lake.ingest(root / "tree", "tree")
    for n in range(60):
        lake.ingest(pa.table({"a": [n]}), f"dataset-of-a-rather-long-name-{n}")
    assert lake.refs.head("main").commit.state.runs, "the map of datasets lies in objects of its own"
    lake.branch("gone")
    lake.delete_branch("gone")
    return {info.key: store.read(info.key) for info in store.list("")}


def object_of(key: str) -> str:
    """The id of the object that lies at a key."""
    return key.removeprefix("objects/").replace("/", "").partition(".")[0]


def flipped(data: bytes) -> bytes:
    """One bit in the middle turned."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": flipped,
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "gone": lambda _: None,
}


def lake_of(objects: dict[str, bytes]) -> Lake:
    """A lake of these objects."""
    store = MemoryStore()
    for key, data in objects.items():
        store.create(key, data)
    return Lake(store, "test", "memory")


def test_a_whole_lake_is_whole(whole: dict[str, bytes]) -> None:
    """Of a lake without damage every object is looked at, and nothing is found."""
    report = lake_of(whole).verify()
    assert report.problems == []
    assert report.ok
    stored = {key for key in whole if key.startswith("objects/")}
    suffixes = {key.rpartition(".")[2] for key in stored}
    assert suffixes == {"parquet", "json", "bin"}
    assert report.objects == len(stored)
    assert report.to_dict()["rows"] == report.rows > 0


@pytest.mark.parametrize("kind", DAMAGE)
def test_every_object_that_is_damaged_is_found(whole: dict[str, bytes], kind: str) -> None:
    """Whatever object is damaged, in whatever way, the report is not ok, and names it; nothing is raised."""
    keys = [key for key in whole if key.startswith("objects/")]
    if kind != "gone":  # of a record that is gone an older one is left
        keys += [key for key in whole if key.startswith("refs/")]
    keys.append("lake.json")
    random.shuffle(keys)
    every_kind = {key.split("/")[0] + key.rpartition(".")[2]: key for key in keys}.values()
    for key in {*keys[:4], *every_kind}:
        damaged = DAMAGE[kind](whole[key])
        objects = {name: data for name, data in whole.items() if name != key}
        if damaged is not None:
            objects[key] = damaged
        forget_decoded()
        report = lake_of(objects).verify()
        assert not report.ok, key
        identity = object_of(key)[:12] if key.startswith("objects/") else key
        assert any(identity in problem.key.replace("/", "") or problem.key == key for problem in report.problems), key


def test_what_no_hash_names_is_sealed(whole: dict[str, bytes]) -> None:
    """Another actor, time or message in a record or a tag is found and its key is named; the rest is still looked at."""
    of_kind = {key.split("/")[1]: key for key in whole if key.startswith("refs/")}
    assert set(of_kind) == {"branches", "tags"}
    for key in of_kind.values():
        fields = json.loads(whole[key])
        for field, other in (("actor", "eve"), ("time", fields["time"] + 1), ("message", "nothing to see here")):
            changed = json.dumps(fields | {field: other}, sort_keys=True, separators=(",", ":")).encode()
            report = lake_of({**whole, key: changed}).verify()
            assert [problem for problem in report.problems if problem.key == key]
            assert report.versions > 60


def test_objects_that_were_exchanged(whole: dict[str, bytes]) -> None:
    """An object that holds another's bytes, however good, is damaged."""
    parts = [key for key in whole if key.endswith(".parquet")]
    one, other = parts[:2]
    report = lake_of({**whole, one: whole[other]}).verify()
    assert not report.ok


def test_one_version_alone(whole: dict[str, bytes]) -> None:
    """Asked of one version only its objects are looked at; its damage is reported, that of others is not."""
    lake = lake_of(whole)
    report = lake.verify("d@v1")
    assert (report.ok, report.versions, report.rows) == (True, 1, 50)
    part = lake["d@v1"].parts[0].id
    key = f"objects/{part[:2]}/{part[2:]}.parquet"
    damaged = lake_of({**whole, key: flipped(whole[key])})
    assert not damaged.verify("d@v1").ok
    assert damaged.verify("tree").ok
    manifest = lake["tree"].id
    key = f"objects/{manifest[:2]}/{manifest[2:]}.json"
    assert not lake_of({**whole, key: flipped(whole[key])}).verify("tree").ok
    with pytest.raises(dp.DatasetNotFound):
        lake.verify("nowhere")


def test_rows_are_counted_and_digested_anew(whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if hashes were right, rows that do not add up to the manifest's digest are found."""
    from dataplat.versioning.verify import _rows

    digest = _rows.digest

    def off_by_one(batches: Any, schema: Any = None) -> Any:
        found = digest(batches, schema)
        return type(found)(found.rows, found.lane0 ^ 1, found.lane1)

    monkeypatch.setattr(_rows, "digest", off_by_one)
    report = lake_of(whole).verify("d@v1")
    assert [problem for problem in report.problems if "do not add up" in problem.what]


def test_progress_is_told(whole: dict[str, bytes]) -> None:
    """The listener hears of rows and bytes as they are checked."""
    seen: list[Any] = []
    lake_of(whole).verify(progress=seen.append)
    assert {told.stage for told in seen} == {"verifying"}


def test_on_a_file_system(tmp_path: Path) -> None:
    """The same holds for files: a byte changed on the disk is found, by its version."""
    lake = dp.open(tmp_path / "lake")
    lake.ingest(pa.table({"a": range(1000)}), "d")
    assert lake.verify().ok
    [path] = (tmp_path / "lake" / "objects").rglob("*.parquet")
    path.chmod(0o600)
    path.write_bytes(flipped(path.read_bytes()))
    [problem] = dp.open(tmp_path / "lake").verify().problems
    assert problem.kind == "changed"
    assert problem.versions == (f"d@id:{lake['d'].id[:12]}",)
    assert problem.refs == ("main",)
    assert str(problem).startswith(f"{problem.key}: changed, ")
