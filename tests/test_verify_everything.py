"""Whatever stored object or ref is damaged, in whatever way: it is found, reads do not lie, and a copy puts it right.

`DATAPLAT_VERIFY=full` damages every key at many places; by default every key is damaged, each in fewer ways.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandera.polars as pan
import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.lake.stores import FileStore, MemoryStore, Store
from dataplat.testing.store_faults import CrashStore, SimulatedCrash
from dataplat.versioning import commit as commits
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.verify import _verify
from dataplat.versioning.verify._repair import put_right

FULL = os.environ.get("DATAPLAT_VERIFY") == "full"
POSITIVE = pan.DataFrameSchema({"id": pan.Column(int), "n": pan.Column(int, pan.Check.ge(0))})
READ_ERRORS = (dp.IntegrityError, dp.StoreError, dp.LakeFormatError, dp.RefError)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every key of a small lake that has some of everything; limits are low, so that maps and bulks are objects."""
    root = tmp_path_factory.mktemp("everything")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_INLINE_STATE", "_INLINE_POSITIONS", "_BULK"):
            patch.setattr(commits, name, 150)
        store = MemoryStore()
        create_lake(store)
        lake = Lake(store, "test", "memory")
        rows = pa.table({"id": range(40), "n": range(40), "word": [f"w{n}" for n in range(40)]})
        lake.ingest(rows, "d", key="id", contract=POSITIVE)
        lake.tag("v1")
        lake.delete("d", "id < 5")
        lake.branch("exp")
        lake.ingest(rows.slice(7, 2), "d", mode="upsert", branch="exp")
        lake.ingest(pa.table({"id": [7, 90], "n": [1, 1], "word": ["x", "y"]}), "d", mode="upsert", branch="exp")
        (root / "in").mkdir()
        for n in range(4):
            (root / "in" / f"a-file-of-a-rather-long-name-{n}.csv").write_text(f"id,n\n{1000 + n},1\n")
        (root / "in" / "rejected.csv").write_text("id,n\n1\n")
        lake.ingest(root / "in", "files")
        (root / "tree").mkdir()
        (root / "tree" / "large.bin").write_bytes(bytes(range(256)) * 8000)
        (root / "tree" / "small.txt").write_text("x")
        lake.ingest(root / "tree", "tree")
        _ = lake["d"].content_id
        lake.branch("gone")
        lake.delete_branch("gone")
        lake.delete("d", "id = 20")
        assert lake.refs.head("main").commit.state.runs
        assert any(change.bulk for record in lake.refs.log("main") for change in record.commit.changes.values())
    keys = {info.key: store.read(info.key) for info in store.list("")}
    assert any(key.startswith("memo/") for key in keys)
    return keys


def store_of(objects: dict[str, bytes]) -> MemoryStore:
    """A store with these keys."""
    store = MemoryStore()
    for key, data in objects.items():
        store.create(key, data)
    return store


def lake_of(store: Store) -> Lake:
    """What a new process would see."""
    forget_decoded()
    return Lake(store, "test", "memory")


def flips(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """The first, a middle and the last byte, or many more, with one bit turned."""
    for at in {0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(40 if FULL else 1))}:
        yield data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def damages(whole: dict[str, bytes], key: str, rng: random.Random) -> list[tuple[str, bytes | None]]:
    """The ways in which a key is damaged."""
    data = whole[key]
    ways: list[tuple[str, bytes | None]] = [("flip", turned) for turned in flips(data, rng)]
    ways += [("cut", data[: len(data) // 2]), ("cut", data[:-1]), ("empty", b""), ("gone", None)]
    top = key.split("/", maxsplit=1)[0]
    kin = [k for k in whole if k != key and k.split("/")[0] == top and k.rpartition(".")[2] == key.rpartition(".")[2]]
    if kin:
        ways.append(("swap", whole[rng.choice(kin)]))
    return [(kind, other) for kind, other in ways if other != data]


def holders(lake: Lake) -> dict[str, set[str]]:
    """By object id the versions that need it, found by asking each version."""
    needed: dict[str, set[str]] = {}
    for reference in ("d@v1", "d@main", "d@exp", "files", "files.rejects", "tree"):
        version = lake[reference]
        label = f"{version.dataset}@id:{version.id[:12]}"
        for object_id, _ in version.manifest.object_ids():
            needed.setdefault(object_id, set()).add(label)
    return needed


@pytest.fixture(autouse=True)
def _rows_once(monkeypatch: pytest.MonkeyPatch, cache: dict[Any, Any] = {}) -> None:  # noqa: B006  (one for all tests)
    """Digest the rows of a part once for all verifications here: its bytes are hashed in each before it is looked at."""
    for name in ("check_part", "live_digest"):
        real = getattr(_verify, name)

        def once(objects: Any, part: Any, *rest: Any, real: Any = real, name: str = name) -> Any:
            key = (name, part.id, part.deletes, repr(rest[0]))
            if key not in cache:
                cache[key] = real(objects, part, *rest)
            return cache[key]

        monkeypatch.setattr(_verify, name, once)


def orphans_of(whole: dict[str, bytes]) -> set[str]:
    """Keys of objects that nothing refers to: merged away before their commit was made."""
    verifier = _verify.Verifier(store_of(whole), _verify.Check())
    verifier.lake()
    return {key for name in verifier._orphans for key in verifier.shelf.keys(name)}


def silent(key: str, kind: str) -> bool:
    """Whether nothing in the lake says that this key was there: a tag, or the last record of a branch."""
    return kind == "gone" and (key.startswith(("refs/", "memo/", "lake.json")) and key != "lake.json")


def test_everything_is_found_and_named(whole: dict[str, bytes]) -> None:
    """Every damage is found under its key, in a report that names the versions that need the object."""
    rng = random.Random(4)
    store = store_of(whole)
    assert lake_of(store).verify().problems == lake_of(store).verify().warnings == []
    needed = holders(lake_of(store))
    found, orphans = 0, orphans_of(whole)
    for key, data in whole.items():
        ways = damages(whole, key, rng)
        for kind, damaged in ways if FULL else rng.sample(ways, min(4, len(ways))):
            store.delete(key) if damaged is None else store.replace(key, damaged)
            report = lake_of(store).verify()
            if not silent(key, kind) and not (kind == "gone" and key in orphans):
                told = [problem for problem in (*report.problems, *report.warnings) if problem.key == key]
                assert len(told) == 1, (key, kind, report.problems)
                assert report.ok is (key.startswith("memo/") or key in orphans), (key, kind)
                expected = needed.get(key.removeprefix("objects/").replace("/", "").partition(".")[0], set())
                assert expected <= set(told[0].versions), (key, kind, told)
                if kind == "swap" and key.startswith("objects/"):
                    assert told[0].kind == "swapped"
                found += 1
            store.replace(key, data)
    assert found > 3 * len(whole)
    assert lake_of(store).verify().orphans == len(orphans) < 5


def test_a_record_in_the_middle_that_is_gone(whole: dict[str, bytes]) -> None:
    """Records have no gaps: one that is missing is named; the last one's commit is told of as stray."""
    records = sorted(key for key in whole if key.startswith("refs/branches/main/"))
    for key in records:
        report = lake_of(store_of({k: data for k, data in whole.items() if k != key})).verify()
        if key == records[0]:
            assert [warning.kind for warning in report.warnings] == ["stray"]
        else:
            assert [(problem.key, problem.kind) for problem in report.problems][:1] == [(key, "missing")]


def test_a_copy_puts_everything_right(whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every key that is damaged, or all of them at once, is what it was after a repair; then nothing is wrong."""
    rng = random.Random(5)
    copy = FileStore(tmp_path / "copy")
    for key, data in whole.items():
        copy.create(key, data)
    cases: list[dict[str, bytes | None]] = []
    whole = {key: data for key, data in whole.items() if key not in orphans_of(whole)}
    for key in whole:
        ways = damages(whole, key, rng)
        if not key.startswith("memo/"):
            cases += [{key: damaged} for _, damaged in (ways if FULL else rng.sample(ways, 1))]
    kept = [key for key in whole if not key.startswith("memo/")]
    cases.append({key: rng.choice(damages(whole, key, rng))[1] for key in kept if key.startswith("objects/")})
    cases.append(dict.fromkeys((key for key in kept if key.startswith("objects/")), None))
    cases.append({key: b"{}" for key in kept if key.startswith(("refs/", "lake.json"))})
    for case in cases:
        store = store_of({key: case.get(key, data) for key, data in whole.items() if case.get(key, data) is not None})  # type: ignore[misc]
        report = lake_of(store).verify(repair_from=tmp_path / "copy")
        assert report.ok, [str(problem) for problem in report.problems]
        assert {key: store.read(key) for key in kept} == {key: whole[key] for key in kept}, list(case)
        assert {fixed.key for fixed in report.repaired} == set(case)


def test_what_the_copy_has_not_is_said(whole: dict[str, bytes], tmp_path: Path) -> None:
    """A repair from a lake that is damaged too, or another one, changes nothing that it cannot put right."""
    dp.open(tmp_path / "other")
    for key in [key for key in whole if key.endswith(".parquet")][:2]:
        store = store_of({**whole, key: b"damaged"})
        report = lake_of(store).verify(repair_from=tmp_path / "other")
        assert [problem.key for problem in report.problems] == [key]
        assert report.repaired == []
        assert store.read(key) == b"damaged"
    record = min(key for key in whole if key.startswith("refs/branches/exp/"))
    copy = FileStore(tmp_path / "copy")
    for key, data in whole.items():
        copy.create(key, data)
    store = store_of({**whole, record: b"{}"})
    ahead = lake_of(FileStore(tmp_path / "copy"))
    copy.replace(record, whole[min(key for key in whole if key.startswith("refs/branches/main/"))])
    report = lake_of(store).verify(repair_from=ahead.store.root)  # type: ignore[attr-defined]
    assert [problem.key for problem in report.problems] == [record]


class Bare:
    """A store that can do no more than it must."""

    concurrency = 1

    def __init__(self, inner: MemoryStore) -> None:
        self.read, self.create, self.list, self.delete = inner.read, inner.create, inner.list, inner.delete


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_repair_that_is_killed_loses_nothing(whole: dict[str, bytes], when: Any) -> None:
    """Where bytes cannot be exchanged in one step, a death in between leaves the object damaged as it was, or whole."""
    key = next(key for key in whole if key.endswith(".parquet"))
    for at in range(1, 5):
        store = store_of({**whole, key: b"damaged"})
        crashing = CrashStore(Bare(store), at, when)  # type: ignore[arg-type]
        with pytest.raises(SimulatedCrash):
            put_right(crashing, key, whole[key])
        if at > 1 or when == "after":
            assert any(store.read(info.key) == whole[key] for info in store.list(key.partition(".")[0]))
        put_right(Bare(store), key, whole[key])  # type: ignore[arg-type]
        assert store.read(key) == whole[key]
        assert lake_of(store).verify().ok


@pytest.fixture(scope="module")
def on_disk(whole: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> FileStore:
    """The same lake in files."""
    store = FileStore(tmp_path_factory.mktemp("disk") / "lake")
    for key, data in whole.items():
        store.create(key, data)
    return store


def exported(lake: Lake, reference: str, folder: Path) -> list[bytes]:
    """The bytes of the files that an export writes."""
    lake[reference].export(folder)
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def differing(lake: Lake) -> Any:
    """What differs between two versions."""
    diff = lake.diff("d@v1", "d@exp")
    return diff.added.to_pylist(), diff.removed.to_pylist()


READS: dict[str, Callable[[Lake, Path], Any]] = {
    "arrow": lambda lake, _: lake["d@exp"].to_arrow().to_pylist(),
    "polars": lambda lake, _: lake["d@v1"].to_polars().to_dicts(),
    "where": lambda lake, _: lake["d"].to_arrow(columns=["n"], where="id = 30").to_pylist(),
    "sql": lambda lake, _: lake.sql('select sum(n), count(*) from "d@exp"').to_arrow().to_pylist(),
    "duckdb": lambda lake, _: lake["files"].to_duckdb().fetchall(),
    "diff": lambda lake, _: differing(lake),
    "export": lambda lake, folder: exported(lake, "d", folder / "d"),
    "tree": lambda lake, folder: exported(lake, "tree", folder / "tree"),
    "content id": lambda lake, _: lake["d"].content_id,
}


def test_reads_are_right_or_refused(on_disk: FileStore, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Of a lake with one damaged key every read gives exactly the rows that were written, or an error."""
    rng = random.Random(6)
    forget_decoded()
    right = {name: read(Lake(on_disk, "test", "x"), tmp_path / "right") for name, read in READS.items()}
    refused = 0
    for number, key in enumerate(whole):
        ways = [(kind, damaged) for kind, damaged in damages(whole, key, rng) if not silent(key, kind)]
        for kind, damaged in ways if FULL else rng.sample(ways, 1):
            on_disk.delete(key) if damaged is None else on_disk.replace(key, damaged)
            for name in READS if FULL else rng.sample(list(READS), 4):
                read = READS[name]
                forget_decoded()
                try:
                    found = read(Lake(on_disk, "test", "x"), tmp_path / f"{number}{kind}{rng.random()}")
                except READ_ERRORS:
                    refused += 1
                else:
                    assert found == right[name], (key, kind, name)
            on_disk.replace(key, whole[key])
    assert refused > len(whole) // 4


def test_what_is_repaired_from_must_be_a_lake(tmp_path: Path) -> None:
    """A place without a lake is an error, not a repair that finds nothing."""
    with pytest.raises(dp.LakeNotFound, match="no lake at"):
        lake_of(MemoryStore()).verify(repair_from=tmp_path / "nowhere")
