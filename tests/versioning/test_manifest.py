"""Manifests are values: what they hold is what a plain list would, however their segments grew."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dataplat.errors import IntegrityError, LakeFormatError, ObjectNotFound
from dataplat.lake.digest import Digest
from dataplat.lake.objects import Objects, Stage, object_key
from dataplat.lake.part import ColumnStats, Part
from dataplat.lake.stores import MemoryStore
from dataplat.lake.where import parse_where
from dataplat.testing.store_faults import CountingStore, LatencyStore
from dataplat.versioning import _index, _tiers, segments
from dataplat.versioning._cache import forget_decoded
from dataplat.versioning._difference import difference
from dataplat.versioning.manifest import Manifest, ManifestEdit, load_manifest
from dataplat.versioning.segments import SEGMENT_LIMIT


def test_empty_has_schema_and_no_rows(empty, stage, store):
    """A dataset of no rows is a version like any other."""
    manifest = empty.apply(ManifestEdit(digest=Digest()), stage)
    stage.flush()
    loaded = load_manifest(Objects(store), manifest.id)
    assert (loaded.rows, loaded.n_parts, loaded.parts(), loaded.key, loaded.digest) == (0, 0, [], ("id",), Digest())
    assert [column["name"] for column in loaded.schema_json] == ["id", "name"]
    assert loaded == manifest == empty


def test_root_says_counts_without_segments(empty, stage, store, make_part):
    """Rows, deleted rows, bytes and parts are read from the root alone."""
    manifest = empty.apply(ManifestEdit(add=[make_part(1), make_part(2, deletes="d", deleted=4)]), stage)
    stage.flush()
    for key in [found.key for found in store.list("objects/") if not found.key.endswith(f"{manifest.id[2:]}.json")]:
        store.delete(key)
    loaded = load_manifest(Objects(store), manifest.id)
    assert (loaded.rows, loaded.deleted, loaded.nbytes, loaded.n_parts) == (16, 4, 203, 2)


def test_id_is_hash_of_canonical_root(empty, stage, make_part):
    """The version id is the SHA-256 of the root's canonical JSON, which names everything else."""
    manifest = empty.apply(ManifestEdit(add=[make_part(1)]), stage)
    data = stage.read(manifest.id, ".json")
    assert sha256(data).hexdigest() == manifest.id
    canonical = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical.encode() == data


def test_identical_edits_give_identical_ids(empty, make_part):
    """Two writers that do the same to the same version get the same version."""
    edit = ManifestEdit(add=[make_part(i) for i in range(5)], digest=Digest(50, 1, 2))
    ids = {empty.apply(edit, Stage(MemoryStore())).id for _ in range(2)}
    assert len(ids) == 1


def test_order_of_parts_is_kept(empty, stage, make_part):
    """Parts are read in the order in which they were added, over many commits."""
    manifest = empty
    for i in range(60):
        manifest = manifest.apply(ManifestEdit(add=[make_part(i)]), stage)
    assert [part.id for part in manifest.parts()] == [make_part(i).id for i in range(60)]


def test_parts_can_be_put_between(empty, stage, make_part):
    """A compaction puts its parts at free places between others, and rows keep their order."""
    manifest = empty.apply(ManifestEdit(add=[make_part(i) for i in range(4)]), stage)
    second, third = manifest.parts()[1:3]
    compacted = manifest.apply(
        ManifestEdit(add=[replace(make_part(9), place=second.place + 1)], drop=[second.place, third.place]), stage
    )
    assert [part.id for part in compacted.parts()] == [make_part(i).id for i in (0, 9, 3)]


def test_same_bytes_twice_are_two_parts(empty, stage, make_part):
    """A part that is appended again counts twice; deletes by id reach both, by place one."""
    twice = empty.apply(ManifestEdit(add=[make_part(1)]), stage).apply(ManifestEdit(add=[make_part(1)]), stage)
    first, second = twice.parts()
    assert (twice.n_parts, twice.rows, first.id) == (2, 20, second.id)
    assert first.place != second.place
    assert twice.apply(ManifestEdit(deletes={first.id: ("d", 3)}), stage).rows == 14
    one = twice.apply(ManifestEdit(deletes={second.place: ("d", 3)}), stage)
    assert [part.deleted for part in one.parts()] == [0, 3]
    with pytest.raises(KeyError, match="name it by place"):
        one.apply(ManifestEdit(drop=[first.id]), stage)


def test_unknown_part_is_refused(empty, stage):
    """An edit that names a part which is not there raises KeyError and stages nothing that counts."""
    with pytest.raises(KeyError):
        empty.apply(ManifestEdit(drop=["no such part"]), stage)


def test_dropping_everything_forgets_the_segments(empty, stage, make_part):
    """When nothing of the old is left, the root lists only what is new."""
    manifest = empty.apply(ManifestEdit(add=[make_part(i) for i in range(50)]), stage)
    fresh = manifest.apply(ManifestEdit(add=[make_part(99)], drop=[part.id for part in manifest.parts()]), stage)
    assert (len(fresh.root.refs), fresh.root.refs[0].parts, fresh.rows) == (1, 1, 10)


def test_pending_digest(empty, stage, make_part):
    """An edit without a digest leaves it pending."""
    assert empty.apply(ManifestEdit(add=[make_part(1)]), stage).digest is None


class Where:
    """Matches parts that may hold the id `value`, and counts how often it was asked."""

    def __init__(self, value):
        self.value = value
        self.asked = 0

    def may_match(self, stats, rows, types):
        """Compare the bounds of `id`."""
        self.asked += 1
        bounds = stats.get("id")
        return bounds is None or bounds.low <= self.value <= bounds.high


def test_where_skips_whole_segments(empty, stage, make_part):
    """With a condition on the key only the segments whose summary may match are read."""
    manifest = empty.apply(ManifestEdit(add=[make_part(i) for i in range(20_000)]), stage)
    read = []
    fresh = Manifest(manifest.root, lambda id, suffix: read.append(id) or stage.read(id, suffix))
    forget_decoded()
    where = Where(123_456)
    assert [part.id for part in fresh.parts(where)] == [make_part(12_345).id]
    assert len(read) == 1
    assert where.asked < 6_000


def test_statistics_of_a_retyped_column_are_not_trusted(empty, stage, make_part):
    """Bounds in milliseconds say nothing of a column that became microseconds; new parts' bounds do."""
    times = [{"name": "id", "type": "timestamp[ms]", "nullable": True}]
    finer = [{"name": "id", "type": "timestamp[us]", "nullable": True}]
    manifest = Manifest.empty(times).apply(ManifestEdit(add=[make_part(1)]), stage)
    manifest = manifest.apply(ManifestEdit(add=[make_part(2)], schema_json=finer), stage)
    manifest = manifest.apply(ManifestEdit(add=[make_part(3)]), stage)
    assert ["id" in part.stats for part in manifest.parts()] == [False, True, True]
    wider = manifest.apply(ManifestEdit(schema_json=[{"name": "id", "type": "int32", "nullable": True}]), stage)
    same = wider.apply(ManifestEdit(schema_json=[{"name": "id", "type": "int64", "nullable": True}]), stage)
    assert same.root.retyped == wider.root.retyped  # integers of any width are compared alike


def test_objects_of_a_version(empty, stage, store, make_part):
    """`object_ids` names all that a version needs, and nothing that only older versions need."""
    manifest = empty
    for i in range(30):
        manifest = manifest.apply(ManifestEdit(add=[make_part(i)]), stage)
    manifest = manifest.apply(ManifestEdit(deletes={make_part(3).id: ("d" * 64, 1)}), stage)
    found = set(manifest.object_ids())
    assert {(make_part(i).id, ".parquet") for i in range(30)} <= found
    assert ("d" * 64, ".bin") in found
    assert (manifest.id, ".json") in found
    assert len(found) == 30 + 1 + 1 + len(manifest.root.refs)


def test_missing_damaged_and_foreign_objects(store, stage):
    """No object, no JSON, and another kind of object are told apart."""
    objects = Objects(store, stage)
    with pytest.raises(ObjectNotFound):
        load_manifest(objects, "0" * 64)
    with pytest.raises(IntegrityError, match="not readable"):
        load_manifest(objects, stage.put(b"{", ".json"))
    with pytest.raises(LakeFormatError, match="not a manifest"):
        load_manifest(objects, stage.put(b'{"format":"dataplat.manifest/9"}', ".json"))


# --------------------------------------------------------------------------------------------- growing manifests


def grow(manifest, stage, make_part, commits):
    """Append one part per commit; return the manifest and the bytes that each commit staged."""
    sizes = []
    for i in range(commits):
        before = stage.pending_bytes
        manifest = manifest.apply(ManifestEdit(add=[make_part(i)]), stage)
        sizes.append(stage.pending_bytes - before)
    return manifest, sizes


def test_metadata_per_commit_is_bounded(empty, stage, make_part):
    """Over 3,000 commits a commit writes 2 KB in the middle and 300 KB at most, and a root stays below 6 KB."""
    manifest, sizes = grow(empty, stage, make_part, 3_000)
    assert sorted(sizes)[1_500] < 3_000
    assert max(sizes) < 300_000
    assert sum(sizes) / len(sizes) < 6_000
    assert len(stage.read(manifest.id, ".json")) < 6_000
    assert all(ref.size <= SEGMENT_LIMIT for ref in manifest.root.refs)
    assert len(manifest.root.tail) < 16


def test_scattered_deletes_are_folded(empty, stage, make_part):
    """Deletes that touch every part in every commit leave no more behind than the parts are worth."""
    manifest = empty.apply(ManifestEdit(add=[make_part(i, rows=1000) for i in range(2_000)]), stage)
    for count in range(1, 8):
        deletes = {part.place: (f"{count:064}", count) for part in manifest.parts()}
        manifest = manifest.apply(ManifestEdit(deletes=deletes), stage)
    assert sum(ref.overlays for ref in manifest.root.refs) <= 1_000
    assert {part.deleted for part in manifest.parts()} == {7}
    assert manifest.rows == 2_000 * 993


def test_sliding_window_does_not_pile_up(empty, stage, make_part):
    """A dataset that drops a part for each that it adds stays as small as its window."""
    manifest = empty.apply(ManifestEdit(add=[make_part(i) for i in range(20)]), stage)
    for i in range(20, 2_000):
        manifest = manifest.apply(ManifestEdit(add=[make_part(i)], drop=[manifest.parts()[0].place]), stage)
    assert [part.id for part in manifest.parts()] == [make_part(i).id for i in range(1_980, 2_000)]
    assert sum(ref.parts + ref.dropped for ref in manifest.root.refs) < 3 * _tiers._FOLD


def test_index_keeps_the_root_small(make_part, stage, monkeypatch):
    """Many segments are listed by indexes; order, look-ups, differences and folds go through them."""
    monkeypatch.setattr(_tiers, "_LARGE", 600)
    monkeypatch.setattr("dataplat.versioning.segments.SEGMENT_LIMIT", 1_200)
    manifest = Manifest.empty([{"name": "id", "type": "int64", "nullable": False}], sort=("id",))
    for i in range(0, 4_000, 4):
        manifest = manifest.apply(ManifestEdit(add=[make_part(j) for j in range(i, i + 4)]), stage)
    assert max(ref.level for ref in manifest.root.base) >= 1
    assert len(manifest.root.refs) < 100
    assert [part.id for part in manifest.parts()] == [make_part(i).id for i in range(4_000)]
    edited = manifest.apply(ManifestEdit(deletes={make_part(77).id: ("d", 1)}, drop=[make_part(78).id]), stage)
    found = difference(manifest, edited)
    assert [part.id for part in found.dropped] == [make_part(78).id]
    assert [after.deleted for _, after in found.changed] == [1]
    every = edited.apply(ManifestEdit(deletes={part.place: ("e", 2) for part in edited.parts()}), stage)
    assert {part.deleted for part in every.parts()} == {2}
    assert not any(ref.overlays or ref.dropped for ref in every.root.base)
    assert [part.id for part in every.parts(Where(2_005))] == [make_part(200).id]
    assert len(set(every.object_ids())) > 4_000


class ManifestMachine(RuleBasedStateMachine):
    """Edits of every kind, beside a list of parts; a small limit makes all merges happen."""

    @initialize()
    def start(self):
        """Begin with no parts."""
        self.store = MemoryStore()
        self.stage = Stage(self.store)
        self.manifest = Manifest.empty([{"name": "id", "type": "int64", "nullable": False}], sort=("id",))
        self.manifest.stage(self.stage)
        self.model = []
        self.past = [(self.manifest, [])]
        self.numbers = 0
        self.limits = _tiers._FOLD, _tiers._LARGE, segments._LEAVE
        _tiers._FOLD, _tiers._LARGE, segments._LEAVE = 4, 700, 80

    def teardown(self):
        """Put the limits back."""
        if hasattr(self, "limits"):
            _tiers._FOLD, _tiers._LARGE, segments._LEAVE = self.limits

    def new_part(self):
        """Return a part that is not there yet."""
        self.numbers += 1
        name = sha256(str(self.numbers).encode()).hexdigest()
        stats = {"id": ColumnStats(0, 0, self.numbers, self.numbers)}
        return Part(name, 10, 100, name, Digest(10, self.numbers, 0), stats)

    def apply(self, edit, model):
        """Edit the manifest; `model` is what it should be then."""
        self.manifest = self.manifest.apply(edit, self.stage)
        self.model = model
        self.past.append((self.manifest, model))

    @rule(count=st.integers(1, 12))
    def append(self, count):
        """Add parts."""
        new = [self.new_part() for _ in range(count)]
        self.apply(ManifestEdit(add=new), self.model + new)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), more=st.integers(0, 2))
    def edit(self, data, more):
        """Delete from some parts, drop some, add some."""
        picks = st.lists(st.sampled_from(range(len(self.model))), unique=True, max_size=6)
        deleted, dropped = data.draw(picks), data.draw(picks)
        counts = {at: data.draw(st.integers(1, 9)) for at in deleted}
        deletes = {self.model[at].id: (f"{count} of {at}", count) for at, count in counts.items()}
        new = [self.new_part() for _ in range(more)]
        model = [
            part.with_deletes(*deletes[part.id]) if part.id in deletes else part
            for at, part in enumerate(self.model)
            if at not in dropped
        ]
        self.apply(ManifestEdit(add=new, deletes=deletes, drop=[self.model[at].id for at in dropped]), model + new)

    @rule(data=st.data())
    def go_back(self, data):
        """Go on from an earlier version."""
        self.manifest, self.model = data.draw(st.sampled_from(self.past))

    @rule(data=st.data())
    def compare(self, data):
        """The difference from an earlier version is that of the lists."""
        before, model = data.draw(st.sampled_from(self.past))
        found = difference(before, self.manifest)
        old, new = ({part.id: part for part in some} for some in (model, self.model))
        assert {part.id for part in found.added} == new.keys() - old.keys()
        assert {part.id for part in found.dropped} == old.keys() - new.keys()
        changed = {id for id in old.keys() & new.keys() if old[id] != new[id]}
        assert {part.id for part, _ in found.changed} == changed
        assert all(after == new[after.id] and part == old[part.id] for part, after in found.changed)

    @invariant()
    def equals_model(self):
        """Read with fresh eyes, the version is the list."""
        if not hasattr(self, "model"):
            return
        forget_decoded()
        self.stage.flush()
        loaded = load_manifest(Objects(self.store), self.manifest.id)
        assert loaded.parts() == self.model
        assert loaded.rows == sum(part.live for part in self.model)
        assert loaded.deleted == sum(part.deleted for part in self.model)
        assert loaded.nbytes == sum(part.size for part in self.model)
        assert loaded.n_parts == len(self.model)


TestManifestMachine = ManifestMachine.TestCase
TestManifestMachine.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


def test_dropped_columns_stay_known_while_parts_may_hold_them(empty, stage, make_part):
    """A dropped column's stored name is gone until no old part is left; parts of other versions may bring more."""
    schema = empty.schema_json
    old = empty.apply(ManifestEdit(add=[make_part(1)]), stage)
    dropped = old.apply(ManifestEdit(schema_json=schema[:1]), stage)
    assert dropped.root.gone == ("name",)
    assert dropped.apply(ManifestEdit(add=[make_part(2)]), stage).root.gone == ("name",)
    replaced = dropped.apply(ManifestEdit(add=[make_part(2)], drop=[make_part(1).id]), stage)
    assert replaced.root.gone == ()
    brought = dropped.apply(ManifestEdit(add=[make_part(2)], drop=[make_part(1).id], gone=["other"]), stage)
    assert brought.root.gone == ("other",)
    assert dropped.apply(ManifestEdit(schema_json=schema), stage).root.gone == ()  # a revert of the drop


def test_statistics_come_under_current_names(empty, stage, make_part):
    """Parts, summaries and pruning go by the names of the version; what is stored goes by stored names."""
    old = empty.apply(ManifestEdit(add=[make_part(1), make_part(5)]), stage)
    first, second = empty.schema_json
    renamed = [first | {"name": "key", "stored": "id"}, second | {"name": "id", "stored": "name"}]
    new = old.apply(ManifestEdit(schema_json=renamed, key=["key"], sort=["key"]), stage)
    new = new.apply(ManifestEdit(add=[make_part(9)]), stage)
    assert [part.stats["key"].low for part in new.parts()] == [10, 50, 90]
    assert "name" not in new.parts()[0].stats
    assert dict(old.parts()[0].stats) == make_part(1).stats
    assert [part.stats["key"].low for part in new.parts(parse_where("key between 50 and 60", new.schema))] == [50]
    moved = empty.apply(ManifestEdit(add=[replace(part, place=-1) for part in new.parts()]), stage)
    assert dict(moved.parts()[0].stats) == make_part(1).stats


def test_segments_far_away_come_beside_each_other(monkeypatch, empty, make_part):
    """Of a store far away indexes and segments are read several at once, each once, and the parts are the same."""
    monkeypatch.setattr(segments, "SEGMENT_LIMIT", 4096)
    monkeypatch.setattr(_tiers, "SEGMENT_LIMIT", 4096)
    monkeypatch.setattr(_index, "_FAN_OUT", 4)
    store = MemoryStore()
    with Stage(store) as stage:
        made = empty.apply(ManifestEdit(add=[make_part(n) for n in range(2000)]), stage)
        stage.flush()
    assert any(ref.level > 1 for ref in made.root.refs)
    counted = CountingStore(store)
    most, now, lock = [0], [0], threading.Lock()

    def noting(seconds):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(seconds)
        with lock:
            now[0] -= 1

    forget_decoded()
    found = load_manifest(Objects(LatencyStore(counted, 0.005, sleep=noting)), made.id)
    assert found.parts() == made.parts()
    assert counted.calls["read"] == len(store._keys)
    assert most[0] > 4


def wide(number):
    """Return a part with statistics of 32 columns."""
    name = sha256(str(number).encode()).hexdigest()
    draw = random.Random(number)
    columns = {f"c{i}": ColumnStats(0, 0, draw.random(), 1 + draw.random()) for i in range(1, 31)}
    columns["c0"] = ColumnStats(0, 0, number / 7, number / 3)
    return Part(name, 10, 100, name, Digest(10, number, 1), {"id": ColumnStats(0, 0, number, number), **columns})


def wide_version(store, count):
    """Commit so many wide parts, in some segments of the base, and return the version id and the segments."""
    schema = [{"name": "id", "type": "int64", "nullable": False}]
    schema += [{"name": f"c{i}", "type": "float64", "nullable": True} for i in range(31)]
    with Stage(store) as stage:
        made = Manifest.empty(schema, ("id",)).apply(ManifestEdit(add=[wide(n) for n in range(count)]), stage)
        stage.flush()
    forget_decoded()
    return made.id, made.root.refs


def test_opening_leaves_the_statistics(store):
    """Parts are listed from the heads of segments; statistics are fetched when one is looked at, each segment once."""
    version, refs = wide_version(store, 3000)
    counted = CountingStore(store)
    manifest = load_manifest(Objects(counted), version)
    counted.reset()
    assert len(manifest.parts()) == 3000
    assert manifest.parts()[-1].digest == Digest(10, 2999, 1)
    assert counted.calls["read"] == len(refs) > 3
    assert counted.bytes["read"] == sum(ref.head[0] for ref in refs) < 0.3 * sum(ref.size for ref in refs)
    counted.reset()
    assert dict(manifest.parts()[0].stats) == wide(0).stats
    assert (counted.calls["read"], counted.bytes["read"]) == (1, refs[0].size)
    assert [dict(part.stats) for part in manifest.parts()] == [wide(n).stats for n in range(3000)]
    assert (counted.calls["read"], counted.bytes["read"]) == (len(refs), sum(ref.size for ref in refs))


def test_a_condition_reads_the_statistics_at_once(store):
    """Parts that are chosen by a condition are read with their statistics: no segment takes two requests."""
    version, refs = wide_version(store, 3000)
    counted = CountingStore(store)
    manifest = load_manifest(Objects(counted), version)
    counted.reset()
    assert [part.stats["id"].low for part in manifest.parts(parse_where("c0 < 0.3", manifest.schema))] == [0, 1, 2]
    assert counted.calls["read"] == len(refs)


def test_a_damaged_head_is_found(store):
    """A bit that turned in the head of a segment is found though the rest of it is not read."""
    version, (ref, *_) = wide_version(store, 1000)
    key = object_key(ref.id, ".bin")
    data = bytearray(store.read(key))
    data[ref.head[0] // 2] ^= 1
    store.delete(key)
    store.create(key, bytes(data))
    with pytest.raises(IntegrityError, match="first .* bytes of objects"):
        load_manifest(Objects(store), version).parts()


def test_small_segments_are_read_whole(empty, stage, make_part):
    """What a commit writes of a few parts has no head of its own: the root stays small."""
    made = empty.apply(ManifestEdit(add=[make_part(n) for n in range(100)]), stage)
    assert [ref.head for ref in made.root.refs] == [None]
