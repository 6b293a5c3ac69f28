"""Collecting: what goes, what stays and why, beside writers, after deaths, and what it costs those who do not collect."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._lake import Lake
from dataplat.errors import CommitConflict, ConfigError, StoreTimeout, VersionNotFound
from dataplat.lake._object_keys import parse_key
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.stores import FileStore
from dataplat.lake.stores._wrapper import StoreWrapper
from dataplat.versioning.gc import collect as collecting
from dataplat.versioning.gc._leases import HORIZON, TTL
from dataplat.versioning.gc._log import GcLog, collected
from dataplat.versioning.gc.collect import Options, collect, look
from dataplat.versioning.gc.lease import lease_uploads
from dataplat.versioning.lakefile import create_lake
from dataplat.versioning.refs import Refs

HOUR = 3600 * 1_000_000


def rows(*keys, text="x"):
    """Return a table of keys."""
    return pa.table({"id": list(keys), "text": [f"{text}{key}" for key in keys]})


def replace(lake, *keys, dataset="t", branch="main"):
    """Make these rows the dataset; return its version."""
    return lake.ingest(rows(*keys), dataset, mode="replace", branch=branch).version


def keys(lake):
    """Return the keys of all objects."""
    return {info.key for info in lake.store.list("objects/")}


@pytest.fixture
def lake(memory_lake):
    """Return a lake with three versions of `t`, of which nothing is shared."""
    for at in range(3):
        replace(memory_lake, at * 10, at * 10 + 1)
    return memory_lake


def test_without_a_rule_nothing_goes(lake):
    """Branches keep all that they ever had, so that a collection takes only what was never committed."""
    lake.gc(grace="0s")
    assert [lake[f"t~{back}"].rows for back in range(3)] == [2, 2, 2]
    before = keys(lake)
    assert lake.gc(grace="0s").done.objects == 0
    with Stage(lake.store) as stage:
        stage.put(b"nobody needs this", ".bin")
        stage.flush()
    assert lake.gc(grace="0s").done.objects == 1
    assert keys(lake) == before


def test_rule_of_a_number_keeps_the_newest(lake):
    """`keep 2` leaves two versions of a dataset; the third is gone, its bytes too, and says so when asked for."""
    old = lake["t~2"].id
    lake.keep("main", "2")
    result = lake.gc(grace="0s")
    assert result.plan.versions == {"t": 1}
    assert result.done.nbytes == result.plan.nbytes > 0
    assert lake["t~1"].to_arrow()["id"].to_pylist() == [10, 11]
    with pytest.raises(VersionNotFound, match=r"collected by gc 1 on"):
        lake["t~2"]
    assert old in collected(lake.store)
    assert [entry.version for entry in lake.log("t")][2] == old  # what happened is still told
    assert lake.verify().ok


def test_plan_touches_nothing_and_says_what_a_collection_then_does(lake):
    """The plan's bytes and objects are those that go."""
    before = list(lake.store.list(""))
    plan = lake.plan_gc("1", grace="0s", explain=True)
    assert list(lake.store.list("")) == before
    going = [version for version in plan.use.versions if not version.stays]
    assert len(going) == 2
    assert sum(version.only for version in going) + plan.use.unreachable_bytes == plan.nbytes
    done = lake.gc("1", grace="0s").done
    assert (done.objects, done.nbytes, done.versions) == (plan.objects, plan.nbytes, 2)


def test_age_is_that_of_the_commit(lake, monkeypatch):
    """`30d` keeps what is younger; with a later clock only the newest is left."""
    assert lake.plan_gc("30d", grace="0s").versions == {}
    now = lake.refs.now() + 31 * 24 * HOUR
    monkeypatch.setattr(lake.refs, "_clock", lambda: now)
    assert lake.plan_gc("30d", grace="0s").versions == {"t": 2}
    assert lake.plan_gc("30d,2", grace="0s").versions == {"t": 1}


@pytest.mark.parametrize("rule", ["", "0", "3x", "-1", "10,30y"])
def test_a_rule_that_cannot_be_read_is_refused(lake, rule):
    """Nothing is deleted by a rule that was typed wrong."""
    with pytest.raises(ConfigError):
        lake.gc(rule)
    with pytest.raises(ConfigError):
        lake.keep("main", rule)


def test_tag_keeps_its_commit_until_it_expires(lake):
    """What a tag names stays, whatever the rule; an expired one keeps nothing."""
    lake.tag("v1", "main~2")
    lake.refs.create_tag("old", lake.refs.tag("v1").commit_id, expires=1)
    lake.gc("1", grace="0s")
    assert lake["t@v1"].to_arrow()["id"].to_pylist() == [0, 1]
    assert lake.plan_gc("1").expired_tags == ("old",)


def test_deleted_branch_goes(lake):
    """Versions that only a deleted branch had are collected; its commits stay."""
    lake.branch("exp")
    version = replace(lake, 99, branch="exp")
    lake.delete_branch("exp")
    plan = lake.plan_gc(grace="0s")
    assert (plan.versions, plan.deleted_branches) == ({"t": 1}, ("exp",))
    lake.gc(grace="0s")
    assert not Objects(lake.store).stored(version.id, ".json")
    assert lake["t"].to_arrow()["id"].to_pylist() == [20, 21]


def test_young_objects_are_left_alone(lake):
    """Within the grace nothing goes; the result says how much is waiting."""
    result = lake.gc("1")
    assert result.done.objects == 0
    assert result.done.left_young > 0
    assert result.done.left_bytes > 0


def test_upload_lease_holds_back_what_is_younger(lake):
    """What was written since somebody said that he uploads is left alone, even with next to no grace."""
    lake.gc(grace="0s")
    with lease_uploads(lake.refs), Stage(lake.store) as stage:
        stage.put(b"an upload", ".bin")
        stage.flush()
        assert look(lake.objects, lake.refs, Options(grace=1)).candidates == []
    assert len(look(lake.objects, lake.refs, Options(grace=0)).candidates) == 1


def test_read_lease_holds_a_version(lake):
    """A version that somebody reads under a lease stays, and goes when the lease has ended."""
    old = lake["t~2"]
    with old.lease():
        lake.gc("1", grace="0s")
        assert old.to_arrow()["id"].to_pylist() == [0, 1]
    assert lake.gc("1", grace="0s").done.objects > 0
    with pytest.raises(VersionNotFound):
        old.lease()
    assert list(lake.store.list("leases/")) == []


def test_expired_lease_holds_nothing(lake, monkeypatch):
    """A reader that died does not keep a version for ever; its lease is removed in the end."""
    lease = lake["t~2"].lease()
    monkeypatch.setattr(lake.store, "_clock", lambda: lake.refs.now() + TTL + 1)
    assert lake.gc("1", grace="0s").done.objects > 0
    monkeypatch.setattr(lake.store, "_clock", lambda: lake.refs.now() + TTL + HORIZON + HOUR)
    replace(lake, 7)
    lake.gc("1", grace="0s")
    assert list(lake.store.list("leases/")) == []
    lease.end()


def test_lease_is_renewed_at_half_time(lake, monkeypatch):
    """`renew` does nothing at first; the file before the new one stays, for those who are listing leases just then."""
    with lake["t"].lease() as lease:
        assert not lease.renew()
        held = [{info.key for info in lake.store.list("leases/")}]
        for _ in range(3):
            later = lease.file.time + TTL // 2 + 1
            monkeypatch.setattr(lease._refs, "_clock", lambda later=later: later)
            assert lease.renew()
            held.append({info.key for info in lake.store.list("leases/")})
        assert [len(keys) for keys in held] == [1, 2, 2, 2]
        assert all(before & after for before, after in pairwise(held))
    assert list(lake.store.list("leases/")) == []


def test_du_adds_up(lake):
    """All objects are those of versions, of commits, and of nothing; what only one version needs counts once."""
    lake.gc(grace="0s")
    lake.ingest(rows(1, 2), "u")
    with Stage(lake.store) as stage:
        stage.put(b"lost", ".bin")
        stage.flush()
    found = lake.du()
    assert found.unreachable == 1
    assert found.unreachable_bytes == 4
    sizes = {parse_key(info.key): info.size for info in lake.store.list("objects/")}
    assert found.nbytes == sum(sizes.values())
    assert sum(item.nbytes for item in found.datasets) + found.metadata + 4 == found.nbytes
    (one,) = [item for item in found.versions if item.version == lake["t~2"].id]
    assert one.only == one.nbytes == sum(sizes[name] for name in lake["t~2"].manifest.object_ids())
    assert {item.dataset for item in lake.du("u").versions} == {"u"}
    with pytest.raises(dp.DatasetNotFound):
        lake.du("v")


def test_du_tells_what_versions_share(memory_lake):
    """A part that two versions need is counted by both, and by neither as its own."""
    memory_lake.ingest(rows(1, 2), "t")
    memory_lake.ingest(rows(3), "t")
    newer, older = memory_lake.du("t").versions
    part = memory_lake["t~1"].parts[0]
    assert older.nbytes - older.only >= part.size
    assert newer.nbytes > newer.only


# ------------------------------------------------------------------------------------------- beside others, and deaths


def during(monkeypatch, lake, action, where="_second_look"):
    """Do `action` once in the middle of the next collection, before its step `where`."""
    step = getattr(collecting._Collection, where)

    def first(self, *args):
        monkeypatch.setattr(collecting._Collection, where, step)
        action()
        return step(self, *args)

    monkeypatch.setattr(collecting._Collection, where, first)


def test_writer_meets_a_candidate_and_writes_it_anew(lake, monkeypatch):
    """Rows that a collection is taking are landed again under another key, and stay readable."""
    lake.keep("main", "1")
    during(monkeypatch, lake, lambda: replace(lake, 0, 1), where="_delete")
    assert lake.gc(grace="0s").done.objects > 0
    assert any("~" in key for key in keys(lake))
    fresh = Lake(lake.store, lake.id, lake.url)
    assert fresh["t"].to_arrow()["id"].to_pylist() == [0, 1]
    assert fresh.verify().ok
    lake.gc(grace="0s")
    assert Lake(lake.store, lake.id, lake.url)["t"].to_arrow()["id"].to_pylist() == [0, 1]


def test_rollback_to_what_is_being_collected_is_refused(lake, monkeypatch):
    """Nothing is committed that relies on objects which go; nothing moves."""
    lake.keep("main", "1")
    head = lake.refs.head("main").commit_id

    def roll():
        with pytest.raises(CommitConflict, match="collection 1"):
            lake.rollback("t~2")
        with pytest.raises(CommitConflict):
            lake.tag("v1", "main~2")
        with pytest.raises(CommitConflict):
            lake["t~2"].lease()

    during(monkeypatch, lake, roll)
    lake.gc(grace="0s")
    assert lake.refs.head("main").commit_id == head
    assert lake.tags() == []


def test_tag_on_what_is_gone_is_refused(lake):
    """A commit whose versions were collected cannot be tagged or branched from."""
    lake.gc("1", grace="0s")
    with pytest.raises(VersionNotFound):
        lake.tag("v1", "main~2")
    with pytest.raises(VersionNotFound):
        lake.branch("old", "main~2")
    lake.tag("now")
    lake.branch("exp")


def test_branch_made_before_the_second_look_keeps_its_versions(lake, monkeypatch):
    """A tag that came between the two looks at something that stays keeps it from then on."""
    lake.keep("main", "1")
    during(monkeypatch, lake, lambda: lake.branch("exp"))
    lake.gc(grace="0s")
    assert lake.refs.head("exp").settings["gc_last"] == 1
    replace(lake, 0, 1, branch="exp")
    assert Lake(lake.store, lake.id, lake.url)["t@exp"].rows == 2


class Dies(BaseException):
    """A process that was killed."""


class Dying(StoreWrapper):
    """Dies at the n-th call that changes something."""

    def __init__(self, inner, calls):
        super().__init__(inner)
        self.left = calls

    def _call(self, operation, key, call, sent=None):
        if operation in {"create", "delete"}:
            self.left -= 1
            if self.left < 0:
                raise Dies
        return call()


def test_a_collection_that_dies_anywhere_is_finished_by_the_next():
    """Whatever call it dies at, nothing that is needed is gone, and the next leaves only what is needed."""
    ends = 0
    for calls in range(60):
        lake = made()
        try:
            dying = Dying(lake.store, calls)
            collect(Objects(dying), Refs(dying), Options("1", 0))
            ends += 1
        except Dies:
            pass
        fresh = Lake(lake.store, "x", "memory")
        assert fresh["t"].to_arrow()["id"].to_pylist() == [20, 21]
        fresh.gc("1", grace="0s")
        needed = {name[0] for name in fresh["t"].manifest.object_ids()}
        left = {parse_key(key)[0] for key in keys(fresh)}
        assert needed <= left
        assert fresh.plan_gc("1", grace="0s").objects == 0
        replace(fresh, 0, 1)
        assert Lake(lake.store, "x", "memory")["t"].rows == 2
        if ends:
            break
    assert ends == 1


def made():
    """Return a small lake in memory with three versions."""
    from dataplat.lake.stores import MemoryStore

    store = MemoryStore()
    create_lake(store)
    lake = Lake(store, "x", "memory")
    for at in range(3):
        replace(lake, at * 10, at * 10 + 1)
    return lake


def test_later_collection_takes_over(lake, monkeypatch):
    """Of two at once the earlier, if it has not decided yet, deletes nothing; the later does the work."""
    lake.keep("main", "1")
    during(monkeypatch, lake, lambda: Lake(lake.store, "x", "memory").gc(grace="0s"))
    with pytest.raises(CommitConflict, match="taken over"):
        lake.gc(grace="0s")
    assert lake.plan_gc(grace="0s").objects == 0
    assert lake["t"].rows == 2


class Forgetful(StoreWrapper):
    """Gives no answer to the first delete of an object, and does it later."""

    def __init__(self, inner):
        super().__init__(inner)
        self.late = []

    def delete(self, key):
        """Delete, or promise to."""
        if key.startswith("objects/") and not self.late:
            self.late.append(key)
            raise StoreTimeout("no answer")
        self.inner.delete(key)


def test_delete_that_lands_late_takes_nothing(lake):
    """Until no delete can land any more, what was condemned is written under other keys."""
    lake.keep("main", "1")
    slow = Forgetful(lake.store)
    done = collect(Objects(slow), Refs(slow), Options(grace=0))
    assert not done.definite
    assert lake.refs.head("main").settings["gc"] == [1]
    replace(lake, 0, 1)
    replace(lake, 10, 11)
    lake.store.delete(slow.late[0])
    assert Lake(lake.store, "x", "memory")["t"].to_arrow()["id"].to_pylist() == [10, 11]


def test_condemned_keys_are_forgotten_after_the_horizon(lake, monkeypatch):
    """A week later the next collection takes the old one out of the branches' settings."""
    slow = Forgetful(lake.store)
    collect(Objects(slow), Refs(slow), Options("1", 0))
    assert lake.refs.head("main").settings["gc"] == [1]
    monkeypatch.setattr(lake.store, "_clock", lambda: lake.refs.now() + HORIZON + HOUR)
    replace(lake, 5)
    collect(lake.objects, lake.refs, Options("1", 0, definite=lambda _: True))
    assert "gc" not in lake.refs.head("main").settings
    kinds = [
        "1.closed",
        "1.done",
        "2.closed",
        "2.done",
        "2.open",
    ]  # the candidates of the first went, its versions stay
    assert [info.key.removeprefix("gc/").lstrip("0") for info in lake.store.list("gc/")] == kinds
    assert len(collected(lake.store)) == 3


def test_damage_stops_a_collection(lake):
    """If what has to stay cannot be read, nothing is deleted."""
    manifest = lake["t"].manifest
    segment = next(name for name in manifest.object_ids() if name[1] == ".bin")
    lake.store.delete(f"objects/{segment[0][:2]}/{segment[0][2:]}.bin")
    before = keys(lake)
    with pytest.raises(dp.IntegrityError, match="nothing was collected"):
        Lake(lake.store, "x", "memory").gc("1", grace="0s")
    assert keys(lake) == before


def test_memos_of_dead_parts_go(lake):
    """What was remembered of parts that are gone is deleted, the rest is not."""
    from dataplat.lake.memos import Memos

    memos = Memos(lake.store)
    dead, alive = lake["t~2"].parts[0].id, lake["t"].parts[0].id
    for part in (dead, alive):
        memos.put({"n": 1}, "c" * 32, part)
        memos.put_bytes(b"rows", "c" * 32, part, alive)
    lake.gc("1", grace="0s")
    assert memos.get_bytes("c" * 32, dead, alive) is None
    assert memos.get_bytes("c" * 32, alive, alive) == b"rows"
    assert memos.get("c" * 32, dead) is None
    assert memos.get("c" * 32, alive) == {"n": 1}


# --------------------------------------------------------------------------------------------------------------- cost


class Counted(StoreWrapper):
    """Counts calls."""

    def __init__(self, inner):
        super().__init__(inner)
        self.calls = Counter()

    def _call(self, operation, key, call, sent=None):
        self.calls[operation, key.split("/", 1)[0]] += 1
        return call()


def test_ordinary_commits_ask_nothing(tmp_path):
    """On a local lake, before and after a collection, a commit reads nothing of `gc/` and takes no lease."""
    store = Counted(FileStore(tmp_path))
    create_lake(store)
    lake = Lake(store, "x", str(tmp_path))
    costs = []
    for at in range(4):
        store.calls.clear()
        replace(lake, at)
        costs.append(dict(store.calls))
    assert lake.gc("1", grace="0s").done.definite
    store.calls.clear()
    replace(lake, 9)
    after = dict(store.calls)
    assert not any(folder in {"gc", "leases"} for cost in [*costs, after] for _, folder in cost)
    assert sum(n for (kind, _), n in after.items() if kind in {"create", "adopt"}) == sum(
        n for (kind, _), n in costs[-1].items() if kind in {"create", "adopt"}
    )


def test_marking_reads_what_changed(lake):
    """Of many versions that share a large manifest each costs its own root and segments, not all parts."""
    for at in range(100, 130):
        lake.ingest(rows(at), "grown")
    store = Counted(lake.store)
    collecting.look(Objects(store), Refs(store), Options(grace=0))
    before = store.calls["read", "objects"]
    store.calls.clear()
    lake.ingest(rows(999), "grown")
    collecting.look(Objects(store), Refs(store), Options(grace=0))
    assert store.calls["read", "objects"] - before <= 6


def test_log_tells_of_each_collection(lake):
    """What it might delete, what it did, and the versions that went, lie in `gc/`."""
    lake.gc("1", grace="0s")
    log = GcLog(lake.store)
    (entry,) = log.entries()
    closed = log.closed(entry.number)
    assert set(closed.keys) <= set(log.opened(1).keys)
    assert len(closed.versions["t"]) == 2
    assert not log.done(1).definite  # of a store in memory nobody promised that
