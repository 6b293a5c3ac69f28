"""Branches are lines of records that only grow; tags never move; unclear answers are settled, never guessed."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from itertools import pairwise

import pytest

from dataplat.errors import (
    AlreadyExists,
    BadName,
    BranchNotFound,
    CommitInDoubt,
    IntegrityError,
    LakeFormatError,
    ObjectExists,
    StoreError,
    StoreTimeout,
    TagNotFound,
)
from dataplat.lake.stores import FileStore, StoreWrapper
from dataplat.versioning._json import canonical
from dataplat.versioning._record import record_key
from dataplat.versioning._seal import seal
from dataplat.versioning.commit import Commit
from dataplat.versioning.refs import Patience, Refs, default_actor


def commit(nonce="n", **fields):
    """Return a commit."""
    return Commit(author="anna", time=1, nonce=nonce, **fields)


@pytest.fixture
def main(refs):
    """Return the first record of a branch `main`."""
    return refs.create_branch("main", commit("first"))


def test_head_moves_record_by_record(refs, main, clock):
    """Each publish makes the next record, younger than the one before even if the clock stands still."""
    second = refs.publish("main", main, commit("second"))
    third = refs.publish("main", second, commit("third"))
    assert [record.number for record in (main, second, third)] == [0, 1, 2]
    assert [record.time - clock.time for record in (main, second, third)] == [0, 1, 2]
    assert refs.head("main") == third
    assert refs.head("main").commit == commit("third")
    assert [record.commit_id for record in refs.log("main")] == [third.commit_id, second.commit_id, main.commit_id]


def test_head_is_one_listing_and_one_read(main, store, clock):
    """A fresh reader finds the head by a LIST of one name and a GET; one that knows it, by one GET."""
    calls = []

    class Counting(StoreWrapper):
        def _call(self, operation, key, call, sent=None):
            calls.append(operation)
            return call()

        def list(self, prefix, after=None, limit=None):
            calls.append(f"list {limit}")
            return self.inner.list(prefix, after, limit)

    reader = Refs(Counting(store), clock)
    reader.head("main")
    assert calls == ["list 1", "read"]
    calls.clear()
    reader.head("main")
    assert calls == ["read"]


def test_newest_record_is_first_in_a_listing(refs, main, store):
    """Numbers are inverted and padded to 20 digits."""
    for i in range(12):
        main = refs.publish("main", main, commit(str(i)))
    keys = [found.key for found in store.list("refs/branches/main/")]
    assert keys[0] == main.key == "refs/branches/main/99999999999999999987.json"
    assert keys[-1] == "refs/branches/main/99999999999999999999.json"


def test_loser_of_a_race_is_told(refs, main, store, clock):
    """Of two that publish on one head the second gets ObjectExists, and nothing of it stays."""
    refs.publish("main", main, commit("ours"))
    with pytest.raises(ObjectExists, match="moved"):
        Refs(store, clock).publish("main", main, commit("theirs"))
    assert refs.head("main").commit == commit("ours")


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_racing_threads_make_one_line(kind, store, tmp_path):
    """Eight threads that publish as fast as they can: every success is in the log once, in one line."""
    store = FileStore(tmp_path) if kind == "file" else store
    Refs(store).create_branch("main", commit("first"))
    won = []

    def run(name):
        refs = Refs(store)
        count = 0
        while count < 10:
            head = refs.head("main")
            try:
                made = commit(f"{name}.{count}", parents=(head.commit_id,))
                refs.publish("main", head, made)
            except ObjectExists:
                continue
            won.append(made.id)
            count += 1

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = list(Refs(store).log("main"))[::-1]
    assert sorted(record.commit_id for record in log[1:]) == sorted(won)
    assert len(log) == 81
    assert all(after.commit.parents == (before.commit_id,) for before, after in pairwise(log))


# ----------------------------------------------------------------------------------------- branches that come and go


def test_branch_is_deleted_and_created_again(refs, main):
    """Deleting is a record; the branch is gone; creating it again goes on in the same line."""
    refs.create_branch("exp", main.commit)
    refs.delete_branch("exp", message="done")
    with pytest.raises(BranchNotFound):
        refs.head("exp")
    with pytest.raises(BranchNotFound):
        refs.delete_branch("exp")
    again = refs.create_branch("Exp", commit("other"))
    assert (again.number, again.branch) == (2, "Exp")
    assert [record.kind for record in refs.log("exp")] == ["create", "delete", "create"]
    assert [head.branch for head in refs.branches()] == ["Exp", "main"]


def test_branches_lists_all_heads(refs, main):
    """All live branches are found, also those whose names are prefixes of others or hold slashes."""
    for name in ("exp", "exp-2", "exp/2", "EXPO", "a"):
        refs.create_branch(name, main.commit)
    refs.delete_branch("expo")
    for _ in range(3):
        refs.publish("exp", refs.head("exp"), commit())
    heads = [(head.branch, head.number) for head in refs.branches()]
    assert sorted(heads) == [("a", 0), ("exp", 3), ("exp-2", 0), ("exp/2", 0), ("main", 0)]


def test_name_is_shown_as_first_written(refs, main):
    """Case does not tell branches apart, and the first spelling stays."""
    refs.create_branch("Weekly", main.commit)
    with pytest.raises(AlreadyExists, match="'Weekly'"):
        refs.create_branch("weekly", main.commit)
    assert refs.publish("WEEKLY", refs.head("wEEkly"), commit()).branch == "Weekly"


def test_missing_branch_names_near_ones(refs, main):
    """The message of BranchNotFound suggests what was meant."""
    with pytest.raises(BranchNotFound, match="did you mean 'main'"):
        refs.head("mian")
    with pytest.raises(BranchNotFound, match="there are 'main'"):
        refs.head("zzz")
    with pytest.raises(BranchNotFound):
        list(refs.log("zzz"))


def test_branch_and_tag_do_not_share_a_name(refs, main):
    """The second of a branch and a tag of one name is refused."""
    refs.create_tag("v1", main.commit_id)
    with pytest.raises(AlreadyExists, match="tag 'V1'"):
        refs.create_branch("V1", main.commit)
    with pytest.raises(AlreadyExists, match="branch 'main'"):
        refs.create_tag("Main", main.commit_id)
    with pytest.raises(BadName):
        refs.create_tag("2026-11-01", main.commit_id)


def test_settings_are_carried_on(refs, main):
    """What a record sets holds for later ones until another changes it; deleting the branch forgets it."""
    protected = refs.publish("main", main, main.commit, kind="protect", settings={"contract": "c.py:Orders"})
    after = refs.publish("main", protected, commit())
    assert after.settings == {"contract": "c.py:Orders"}
    assert refs.delete_branch("main").settings == {}


def test_as_of_finds_the_record_of_a_time(refs, main, clock):
    """The newest record that is not younger; None before the branch began."""
    records = [main]
    for i in range(9):
        clock.time += 1_000
        records.append(refs.publish("main", records[-1], commit(str(i))))
    for record in records:
        assert refs.as_of("main", record.time) == record
        assert refs.as_of("main", record.time + 999) == record
    assert refs.as_of("main", main.time - 1) is None


def test_followers_find_the_head_after_many_records(main, store, clock, tmp_path):
    """A reader that saw an old head finds the newest, on a store where listing is dear as on others."""
    for held in (store, FileStore(tmp_path)):
        writer = Refs(held, clock)
        head = writer.create_branch("far", commit())
        reader = Refs(held, clock)
        for distance in (0, 1, 2, 3, 7, 40):
            reader.head("far")
            for i in range(distance):
                head = writer.publish("far", head, commit(str(i)))
            assert reader.head("far") == head


# ------------------------------------------------------------------------------------------------------------- tags


def test_tag_never_moves(refs, main):
    """A tag is created once, found without regard to case, and listed."""
    tag = refs.create_tag("v1", main.commit_id, message="first")
    assert refs.tag("V1") == tag
    with pytest.raises(AlreadyExists, match="never move"):
        refs.create_tag("v1", "another")
    refs.create_tag("a1", main.commit_id)
    assert [tag.name for tag in refs.tags()] == ["a1", "v1"]
    with pytest.raises(TagNotFound, match="did you mean 'v1'"):
        refs.tag("v11")


# -------------------------------------------------------------------------------------------------- unclear answers


class Unsure(StoreWrapper):
    """Times out on creating refs, as often as told; the request lands, lands with the next call, or never does."""

    def __init__(self, inner, times, lands):
        super().__init__(inner)
        self.times = times
        self.lands = lands
        self.late = []

    def create(self, key, data):
        """Create, or do not answer."""
        while self.late:
            with suppress(ObjectExists):
                self.inner.create(*self.late.pop())
        if not key.startswith("refs/") or self.times <= 0:
            return self.inner.create(key, data)
        self.times -= 1
        if self.lands == "at once":
            self.inner.create(key, data)
        if self.lands == "late":
            self.late.append((key, data))
        raise StoreTimeout("no answer")


def unsure_refs(store, clock, times, lands, attempts=5):
    """Return refs on an unsure store."""
    return Refs(Unsure(store, times, lands), clock, patience=Patience(attempts=attempts, sleep=lambda _: None))


@pytest.mark.parametrize("lands", ["at once", "late", "never"])
def test_unclear_answer_is_settled(main, store, refs, clock, lands):
    """Whether the request landed, landed late or never, the record is there once and the writer knows."""
    record = unsure_refs(store, clock, 2 if lands != "at once" else 1, lands).publish("main", main, commit("ours"))
    assert refs.head("main") == record
    assert len(list(refs.log("main"))) == 2


def test_lost_race_behind_an_unclear_answer(main, store, refs, clock):
    """Where somebody else's record is found in the end, we have lost, and ours can never land."""
    ours = unsure_refs(store, clock, 1, "never")
    theirs = commit("theirs")
    refs.publish("main", main, theirs)
    with pytest.raises(ObjectExists):
        ours.publish("main", main, commit("ours"))


def test_no_answer_at_all_leaves_a_doubt(main, store, clock):
    """When patience ends the error names the commit, and says neither yes nor no."""
    ours = commit("ours")
    with pytest.raises(CommitInDoubt, match="nobody knows") as caught:
        unsure_refs(store, clock, 99, "never").publish("main", main, ours)
    assert caught.value.commit_id == ours.id
    with pytest.raises(CommitInDoubt):
        unsure_refs(store, clock, 99, "never").create_tag("v1", ours.id)
    with pytest.raises(CommitInDoubt):
        unsure_refs(store, clock, 99, "never").create_branch("exp", ours)


def test_refusal_is_no_doubt_unless_something_was_under_way(main, store, clock):
    """A full disk is said as it is; after a time-out it leaves the doubt that was there."""

    class Full(Unsure):
        def create(self, key, data):
            if self.times > 0:
                return super().create(key, data)
            raise StoreError("disk full")

    for times, error in ((0, StoreError), (1, CommitInDoubt)):
        refs = Refs(Full(store, times, "never"), clock, patience=Patience(attempts=3, sleep=lambda _: None))
        with pytest.raises(error):
            refs.publish("main", main, commit("ours"))


def test_own_record_that_cannot_be_read_back_is_in_doubt(main, store, clock):
    """The record exists, but nobody can see whose it is."""

    class Blind(Unsure):
        def read(self, key, byte_range=None):
            raise StoreTimeout("no answer")

    refs = Refs(Blind(store, 1, "at once"), clock, patience=Patience(attempts=3, sleep=lambda _: None))
    with pytest.raises(CommitInDoubt, match="could not be read"):
        refs.publish("main", main, commit("ours"))


# ------------------------------------------------------------------------------------------------------------ damage


def test_damaged_records_are_named(refs, main, store):
    """A record that is no JSON, of another format, under another's key or with another commit is told apart."""
    key = record_key("main", 0)
    data = json.loads(store.read(key))
    del data["check"]
    for held, error, message in (
        (b"{", IntegrityError, "not readable"),
        (seal(data | {"format": "dataplat.record/9"}), LakeFormatError, "not a record"),
        (seal(data | {"number": 7}), IntegrityError, "moved there"),
        (canonical(data), IntegrityError, "lost its checksum"),
    ):
        store.delete(key)
        store.create(key, held)
        with pytest.raises(error, match=message):
            Refs(store).head("main")
    store.delete(key)
    store.create(key, seal(data | {"commit_id": "0" * 64}))
    with pytest.raises(IntegrityError, match="holds another commit"):
        _ = Refs(store).head("main").commit


TAG = {"actor": "a", "commit_id": "c", "format": "dataplat.tag/1", "name": "v2", "nonce": "n", "time": 1}


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"{", IntegrityError, "not readable"),
        (b'{"format":"dataplat.tag/2"}', LakeFormatError, "not a tag"),
        (canonical(TAG), IntegrityError, "lost its checksum"),
        (seal(TAG), IntegrityError, "moved there"),
    ],
)
def test_damaged_tags_are_named(refs, store, data, error, message):
    """A tag that is no JSON, of another format, or under another's key is told apart."""
    store.create("refs/tags/v1.json", data)
    with pytest.raises(error, match=message):
        refs.tag("v1")


def test_actor_without_a_name(monkeypatch):
    """In a container without a user name the actor is `unknown`, and nothing fails."""
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert default_actor() == "unknown"
