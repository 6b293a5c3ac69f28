"""What every store must do, as pytest classes: subclass one and give it a fixture `store` with an empty store.

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self):
            return MyStore(...)

`FilesConformance` and `UrlConformance` do the same for the optional abilities. Import the classes by module
(`from dataplat.testing import store_suite`), else pytest collects them in your module too, without a store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from dataplat.errors import DataplatError, ObjectExists, ObjectNotFound, StoreError
from dataplat.lake.stores import Bytes, Store, SupportsFiles, SupportsUrl, clock_step_of, concurrency_of, probe

T = TypeVar("T")

ODD_KEYS = [
    "a",
    "a b/c d",
    "percent%2Fencoded%20name/x",
    "-leading/-dash",
    ".hidden/.file",
    "..a/b..",
    "a.../...",
    "~tilde/#hash/?query=1&x=[y]{z}",
    "quotes'\"`$(id);|<>*/x",
    "colon:equals=comma,plus+at@/x",
    "s" * 255 + "/x",
    "/".join("deep" for _ in range(60)),
    "objects/ab/" + "0" * 61 + ".parquet",  # a digit short of the name of an object, whose bytes would have to fit
    "temporary/tmp/x",
    "CASE",
]
BAD_KEYS = [
    "",
    "/absolute",
    "trailing/",
    "a//b",
    ".",
    "..",
    "../outside",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "back\\slash",
    "new\nline",
    "nul\0",
    "delete\x7f",
    "ümlaut",
    "tmp",
    "tmp/x",
    "x" * 256,
    "/".join("deep" for _ in range(300)),
]


def _at_once(calls: Iterable[Callable[[], T]]) -> list[T | Exception]:
    """Run `calls` in threads that start at the same moment; return what each returned or raised."""
    calls = list(calls)
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        start.wait()
        try:
            return call()
        except StoreError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def _keys(store: Store, prefix: str, after: str | None = None, limit: int | None = None) -> list[str]:
    return [entry.key for entry in store.list(prefix, after, limit)]


class CreateConformance:
    """Objects appear once, at once and whole."""

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_created_bytes_are_read_back(self, store: Store, kind: type) -> None:
        """Whatever kind of bytes is created, the same bytes are read."""
        data = bytes(range(256)) * 3
        store.create("objects/x", kind(data))
        assert store.read("objects/x") == data
        assert type(store.read("objects/x")) is bytes

    def test_a_buffer_may_be_reused(self, store: Store) -> None:
        """A change of the buffer after create changes no object."""
        buffer = bytearray(b"first")
        store.create("x", buffer)
        buffer[:] = b"other"
        assert store.read("x") == b"first"

    def test_an_empty_object_exists(self, store: Store) -> None:
        """Zero bytes are an object like any other."""
        store.create("empty", b"")
        assert store.read("empty") == b""
        assert [(entry.key, entry.size) for entry in store.list("")] == [("empty", 0)]
        with pytest.raises(ObjectExists):
            store.create("empty", b"")

    def test_a_big_object_is_whole(self, store: Store) -> None:
        """An object of 24 MiB comes back whole, and in pieces."""
        data = bytes(range(251)) * (24 * 2**20 // 251)
        store.create("big", data)
        assert store.read("big") == data
        middle = len(data) // 2
        assert store.read("big", (middle, middle + 1000)) == data[middle : middle + 1000]
        assert next(store.list("big")).size == len(data)

    @pytest.mark.parametrize("second", [b"first", b"other", b""])
    def test_the_first_creator_wins(self, store: Store, second: bytes) -> None:
        """A second create raises, whatever its bytes, and leaves the first object as it was."""
        store.create("x", b"first")
        with pytest.raises(ObjectExists):
            store.create("x", second)
        assert store.read("x") == b"first"

    def test_the_error_names_the_key(self, store: Store) -> None:
        """ObjectExists is a FileExistsError and a DataplatError, and says which key."""
        store.create("some/key", b"1")
        with pytest.raises(FileExistsError, match="some/key") as raised:
            store.create("some/key", b"2")
        assert isinstance(raised.value, DataplatError)

    def test_one_of_many_racing_creators_wins(self, store: Store) -> None:
        """Of 16 threads that create one key exactly one succeeds, and its bytes stay; 15 times over."""
        for race in range(15):
            key = f"refs/race/{race}"
            bids = [f"{race}-{racer}-".encode() * 200 for racer in range(16)]
            answers = _at_once([partial(store.create, key, bid) for bid in bids])
            winners = [bid for bid, answer in zip(bids, answers, strict=True) if answer is None]
            assert [type(answer) for answer in answers if answer is not None] == [ObjectExists] * 15
            assert winners == [store.read(key)]

    def test_a_loser_sees_the_winner_at_once(self, store: Store) -> None:
        """Who is told that an object exists can read and list it in the same moment."""

        def create_or_read(key: str, bid: bytes) -> bytes:
            try:
                store.create(key, bid)
            except ObjectExists:
                assert _keys(store, key) == [key]
                return store.read(key)
            return bid

        for race in range(10):
            key, bids = f"race/{race}", [bytes([racer]) * 3000 for racer in range(8)]
            answers = _at_once([partial(create_or_read, key, bid) for bid in bids])
            assert len(set(answers)) == 1

    def test_racers_on_different_keys_all_win(self, store: Store) -> None:
        """Creating many keys of one new folder at once loses none."""
        keys = [f"new/folder/{number:02}" for number in range(24)]
        assert _at_once([partial(store.create, key, key.encode()) for key in keys]) == [None] * 24
        assert _keys(store, "new/") == keys

    def test_an_object_is_never_seen_in_part(self, store: Store) -> None:
        """Who reads and lists while big objects are created sees none or all of their bytes."""
        size, done = 4 * 2**20, threading.Event()

        def watch() -> set[int]:
            seen: set[int] = set()
            while not done.is_set():
                seen.update(entry.size for entry in store.list("part/"))
                for number in range(6):
                    try:
                        seen.add(len(store.read(f"part/{number}")))
                    except ObjectNotFound:
                        continue
            return seen

        with ThreadPoolExecutor(2) as pool:
            watching = [pool.submit(watch) for _ in range(2)]
            try:
                for number in range(6):
                    store.create(f"part/{number}", bytes([number]) * size)
            finally:
                done.set()
            assert {seen for future in watching for seen in future.result()} <= {size}


class ReadConformance:
    """Objects are read whole or in ranges."""

    def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        """Reading a missing key raises an error that is a FileNotFoundError, a DataplatError, and names the key."""
        store.create("folder/there", b"1")
        for key in ("missing", "folder/missing", "no/such/folder/missing", "folder"):
            with pytest.raises(FileNotFoundError, match=key) as raised:
                store.read(key)
            assert isinstance(raised.value, ObjectNotFound)
        with pytest.raises(ObjectNotFound):
            store.read("missing", (0, 1))

    @pytest.mark.parametrize("span", [(0, 10), (0, 1), (9, 10), (3, 7), (0, 0), (5, 5), (10, 10)])
    def test_a_range_is_a_slice(self, store: Store, span: tuple[int, int]) -> None:
        """A half-open range gives what a slice of the bytes gives."""
        store.create("x", b"0123456789")
        assert store.read("x", span) == b"0123456789"[span[0] : span[1]]

    @pytest.mark.parametrize("span", [(0, 11), (5, 1 << 40), (10, 20), (500, 600)])
    def test_a_range_past_the_end_is_cut(self, store: Store, span: tuple[int, int]) -> None:
        """What lies past the end of the object is left out, as in a slice."""
        store.create("x", b"0123456789")
        assert store.read("x", span) == b"0123456789"[span[0] : span[1]]

    @pytest.mark.parametrize("span", [(-1, 4), (5, 4), (-5, -1)])
    def test_a_senseless_range_is_refused(self, store: Store, span: tuple[int, int]) -> None:
        """A negative start, or a stop before the start, is a clear error and never other bytes."""
        store.create("x", b"0123456789")
        with pytest.raises(StoreError, match="range"):
            store.read("x", span)

    def test_many_readers_read_at_once(self, store: Store) -> None:
        """Concurrent reads of one object do not disturb each other."""
        data = bytes(range(256)) * 4096
        store.create("x", data)
        spans = [(start, start + 70_000) for start in range(0, 800_000, 50_000)]
        answers = _at_once([partial(store.read, "x", span) for span in spans])
        assert answers == [data[start:stop] for start, stop in spans]


class ListConformance:
    """Keys are listed in code-point order, from anywhere, as many as asked for."""

    TREE = ("a!x", "a-b/1", "a-b/2", "a.x", "a/1", "a/2/3", "a/22", "a0", "aa/1", "b/1", "b/10", "b/2", "~")

    @pytest.fixture
    def tree(self, store: Store) -> Store:
        """Return the store with `TREE` in it, created in another order."""
        for key in sorted(self.TREE, key=lambda key: key[::-1]):
            store.create(key, key.encode())
        return store

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        """Neither the whole nor a folder that was never made."""
        assert _keys(store, "") == []
        assert _keys(store, "no/such/folder/") == []
        assert _keys(store, "no/such", after="no/such/a", limit=5) == []

    def test_order_is_by_code_point(self, tree: Store) -> None:
        """Keys come in the order of their characters, `/` being one of them, not folder by folder."""
        assert _keys(tree, "") == sorted(self.TREE)

    @pytest.mark.parametrize("prefix", ["a", "a/", "a/2", "a-", "a-b/", "b/1", "b/10", "b/100", "c", "~", "a/2/3"])
    def test_a_prefix_may_end_anywhere(self, tree: Store, prefix: str) -> None:
        """A prefix is a beginning of keys, not a folder."""
        assert _keys(tree, prefix) == [key for key in sorted(self.TREE) if key.startswith(prefix)]

    @pytest.mark.parametrize("after", ["", "a!x", "a", "a/", "a/1", "a/2", "a/2/3", "a/2/4", "b", "b/1", "zz", "~"])
    @pytest.mark.parametrize("prefix", ["", "a", "a/"])
    def test_after_is_exclusive(self, tree: Store, prefix: str, after: str) -> None:
        """`after` need not be a key, nor begin with the prefix; it is itself left out."""
        expected = [key for key in sorted(self.TREE) if key.startswith(prefix) and key > after]
        assert _keys(tree, prefix, after) == expected

    @pytest.mark.parametrize("limit", [0, 1, 2, 5, 13, 100])
    def test_a_limit_cuts(self, tree: Store, limit: int) -> None:
        """At most `limit` keys come, the first ones."""
        assert _keys(tree, "", None, limit) == sorted(self.TREE)[:limit]
        assert _keys(tree, "a", "a/1", limit) == [k for k in sorted(self.TREE) if k[0] == "a" and k > "a/1"][:limit]

    @pytest.mark.parametrize("page", [1, 2, 3, 7])
    def test_pages_make_up_the_whole(self, tree: Store, page: int) -> None:
        """Listing page by page, each behind the last key, gives every key once."""
        listed: list[str] = []
        while keys := _keys(tree, "", listed[-1] if listed else None, page):
            listed += keys
        assert listed == sorted(self.TREE)

    def test_inverted_numbers_put_the_newest_first(self, store: Store) -> None:
        """The head of a branch is the first name of its folder."""
        for number in range(40):
            store.create(f"refs/branches/main/{10**20 - 1 - number}.json", str(number).encode())
        head = next(store.list("refs/branches/main/", limit=1))
        assert store.read(head.key) == b"39"

    def test_neighbouring_folders_are_apart(self, store: Store) -> None:
        """A folder whose name begins like another's is not listed with it."""
        for branch in ("x", "xy", "x-y", "x%2Fy"):
            store.create(f"refs/branches/{branch}/1", b"")
        assert _keys(store, "refs/branches/x/") == ["refs/branches/x/1"]

    def test_sizes_and_times_are_told(self, store: Store) -> None:
        """An entry says the size in bytes, and when it was created by the store's clock, in µs, at least as finely as it says."""
        before, step = time.time_ns() // 1000, clock_step_of(store)
        store.create("first", b"x" * 5)
        time.sleep(0.05 + step / 1e6)
        store.create("second", b"x" * 7)
        first, second = store.list("")
        assert (first.size, second.size) == (5, 7)
        assert first.created < second.created
        assert abs(first.created - before) < 600_000_000, "the store's clock is ten minutes off"

    def test_listing_bears_changes(self, store: Store) -> None:
        """Keys that come and go during a listing do not break it; those that stay are all listed, in order."""
        for number in range(60):
            store.create(f"k/{number:03}", b"")
        listed = []
        for entry in store.list("k/"):
            listed.append(entry.key)
            number = int(entry.key[2:])
            if number % 3 == 0 and number < 60:
                store.delete(f"k/{number + 1:03}")
                store.create(f"k/{number + 100:03}", b"")
        assert listed == sorted(set(listed))
        assert set(listed) >= {f"k/{number:03}" for number in range(60) if number % 3 != 1}


class DeleteConformance:
    """What is deleted is gone, and may be created anew."""

    def test_a_deleted_object_is_gone(self, store: Store) -> None:
        """It is neither read nor listed; its neighbours stay."""
        store.create("a/1", b"1")
        store.create("a/2", b"2")
        store.delete("a/1")
        with pytest.raises(ObjectNotFound):
            store.read("a/1")
        assert _keys(store, "") == ["a/2"]

    def test_delete_is_idempotent(self, store: Store) -> None:
        """Deleting what is not there, or no longer, is no error."""
        store.delete("never/was")
        store.create("a/x", b"")
        store.delete("a/x")
        store.delete("a/x")
        assert _keys(store, "") == []

    def test_a_deleted_key_can_be_created_anew(self, store: Store) -> None:
        """After a delete the name is free again, also when its folder is empty."""
        for round_ in range(3):
            store.create("a/b/c", bytes([round_]))
            assert store.read("a/b/c") == bytes([round_])
            store.delete("a/b/c")

    def test_racing_deletes_all_return(self, store: Store) -> None:
        """Eight threads that delete one key all succeed."""
        store.create("x", b"")
        assert _at_once([partial(store.delete, "x")] * 8) == [None] * 8


class KeyConformance:
    """Odd keys work; keys that could leave the store, or mean two things, are refused."""

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_keys_are_keys(self, store: Store, key: str) -> None:
        """They are created, read, listed under their name, and deleted."""
        store.create(key, b"odd")
        assert store.read(key) == b"odd"
        assert _keys(store, "") == [key]
        assert _keys(store, key) == [key]
        store.delete(key)
        assert _keys(store, "") == []

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused(self, store: Store, key: str) -> None:
        """Every call refuses them with a StoreError, and nothing comes to be."""
        for call in (lambda: store.create(key, b"x"), lambda: store.read(key), lambda: store.delete(key)):
            with pytest.raises(StoreError, match="key") as raised:
                call()
            assert not isinstance(raised.value, ObjectNotFound)
        assert _keys(store, "") == []

    @pytest.mark.parametrize("prefix", ["..", "../", "a/../", "/", "/etc/", "a//", "\\", "tmp/"])
    def test_bad_prefixes_are_refused(self, store: Store, prefix: str) -> None:
        """No listing leaves the store."""
        with pytest.raises(StoreError, match="key"):
            list(store.list(prefix))


class StoreConformance(CreateConformance, ReadConformance, ListConformance, DeleteConformance, KeyConformance):
    """Everything that is asked of any store."""

    def test_a_lake_may_live_here(self, store: Store) -> None:
        """The probe that `init` runs passes and leaves no object behind."""
        probe(store, rounds=1)
        assert _keys(store, "") == []

    def test_concurrency_is_told(self, store: Store) -> None:
        """A store lets at least one call be under way."""
        assert concurrency_of(store) >= 1


class UrlConformance:
    """For stores with `SupportsUrl`."""

    def test_an_object_has_a_url(self, store: Store) -> None:
        """Each key has a URL of its own, and a bad key has none."""
        assert isinstance(store, SupportsUrl)
        assert store.url("a/b") != store.url("a/c")
        with pytest.raises(StoreError, match="key"):
            store.url("../x")


class FilesConformance:
    """For stores with `SupportsFiles`."""

    @pytest.fixture
    def staged(self, store: Store) -> Callable[[Bytes], Path]:
        """Return a function that writes a file into the staging folder."""
        assert isinstance(store, SupportsFiles)
        folder = store.staging_dir()

        def stage(data: Bytes) -> Path:
            path = folder / f"staged-{len(list(folder.iterdir()))}"
            path.write_bytes(data)
            return path

        return stage

    def test_a_staged_file_is_not_an_object(self, store: Store, staged: Callable[[Bytes], Path]) -> None:
        """What lies in the staging folder is not listed."""
        staged(b"not yet")
        assert _keys(store, "") == []

    def test_an_adopted_file_is_an_object(self, store: Store, staged: Callable[[Bytes], Path]) -> None:
        """The file's bytes are the object's, and stay so when the staged name goes."""
        assert isinstance(store, SupportsFiles)
        path = staged(b"bytes of a part")
        store.adopt("objects/ab/x.parquet", path)
        assert path.read_bytes() == store.read("objects/ab/x.parquet") == b"bytes of a part"
        path.unlink()
        assert store.read("objects/ab/x.parquet") == b"bytes of a part"

    def test_adopting_is_create_if_absent(self, store: Store, staged: Callable[[Bytes], Path]) -> None:
        """Of racing adopters and creators one wins."""
        assert isinstance(store, SupportsFiles)
        paths = [staged(f"file {number}".encode()) for number in range(6)]
        adopters = [partial(store.adopt, "race", path) for path in paths]
        creators = [partial(store.create, "race", f"bytes {number}".encode()) for number in range(6)]
        answers = _at_once([*adopters, *creators])
        assert sorted(str(type(answer).__name__) for answer in answers) == ["NoneType"] + ["ObjectExists"] * 11
        bids = [path.read_bytes() for path in paths] + [f"bytes {number}".encode() for number in range(6)]
        assert store.read("race") == bids[answers.index(None)]

    def test_its_time_is_when_it_appeared(self, store: Store, staged: Callable[[Bytes], Path]) -> None:
        """An object adopted long after its file was written counts as created now."""
        assert isinstance(store, SupportsFiles)
        path = staged(b"written early")
        time.sleep(0.05)
        written = path.stat().st_mtime_ns // 1000
        store.adopt("x", path)
        assert next(store.list("x")).created > written
