"""What every online store must do, as a pytest class: subclass it and give it a fixture `store` with an empty store.

    class TestMyStore(OnlineConformance):
        @pytest.fixture
        def store(self):
            return MyStore(...)

Import it by module (`from dataplat.testing import online_suite`), else pytest collects it in your module too, without a
store. `dataplat.testing.online_machine` holds a store against a dictionary, through drawn histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from dataplat.errors import KeyViolation, NotMaterialized, SnapshotConflict
from dataplat.feature_store.online.store import OnlineStore, Pushed
from dataplat.testing._online_samples import ODD_KEYS, SPACE, content, row, snapshot
from dataplat.testing._online_together import TogetherConformance

__all__ = [
    "SPACE",
    "OnlineConformance",
    "OverlayConformance",
    "SnapshotsConformance",
    "TogetherConformance",
    "row",
    "snapshot",
]


class SnapshotsConformance:
    """Snapshots: loaded, changed, gone back to."""

    def test_nothing_is_there_at_first(self, store: OnlineStore) -> None:
        """A space that nobody loaded has no snapshot, and a read of it says so."""
        assert store.snapshot(SPACE) is None
        assert store.spaces() == []
        with pytest.raises(NotMaterialized, match=SPACE):
            store.read(SPACE, [b"a"])
        with pytest.raises(NotMaterialized, match=SPACE):
            store.rollback(SPACE)
        assert tuple(store.size(SPACE)) == (0, 0, 0, 0)

    def test_a_load_is_read_back(self, store: OnlineStore) -> None:
        """Records come back in the order that was asked for, None where there is none, a key twice if asked twice."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1"), (b"b", b""), (b"c", b"x" * 5_000)])
        found = store.read(SPACE, [b"c", b"none", b"a", b"a", b"b"])
        assert found.records == [b"x" * 5_000, None, b"1", b"1", b""]
        assert found.pushed == [()] * 5
        assert found.sequence == 0
        assert store.read(SPACE, []).records == []
        assert store.spaces() == [SPACE]

    def test_what_it_is_comes_back(self, store: OnlineStore) -> None:
        """A snapshot is what was given, with its records counted."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1"), (b"b", b"2")])
        found = store.snapshot(SPACE)
        assert found is not None
        assert found == store.read(SPACE, [b"a"]).snapshot
        assert (found.id, found.at, found.pins, found.closure, found.parent, found.made, found.keys) == (
            "s1", 1_000_000, {"weather": "pin of s1"}, "c" * 16, None, 2_000_000, 2,
        )  # fmt: skip
        assert found.nbytes >= 4
        assert store.size(SPACE).keys == 2

    @pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: f"{key[:8]!r}-{len(key)}")
    def test_any_key(self, store: OnlineStore, key: bytes) -> None:
        """Any bytes are a key, however long, and differ from their neighbours."""
        near = [key + b"\0", key[:-1] + b"~", key + key]
        store.load(SPACE, snapshot("s1"), sorted([(key, b"it"), *((other, b"near") for other in near)]))
        assert content(store, [key, *near]) == {key: b"it", **dict.fromkeys(near, b"near")}
        store.push(SPACE, [row(key, "pushed"), row(near[0], "another")])
        assert store.read(SPACE, [key]).pushed == [(b"pushed",)]
        store.change(SPACE, snapshot("s2", "s1"), [(key, None)])
        assert content(store, [key, *near]) == {key: None, **dict.fromkeys(near, b"near")}
        store.rollback(SPACE)
        assert content(store, [key]) == {key: b"it"}

    def test_an_empty_key_is_refused(self, store: OnlineStore) -> None:
        """A record without a key is an error, and the old snapshot stays."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        with pytest.raises(KeyViolation, match="empty key"):
            store.load(SPACE, snapshot("s2", "s1"), [(b"a", b"2"), (b"", b"x")])
        with pytest.raises(KeyViolation, match="empty key"):
            store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"2"), (b"", b"x")])
        assert content(store, [b"a"]) == {b"a": b"1"}

    def test_keys_in_any_order(self, store: OnlineStore) -> None:
        """Keys need not ascend, and of one that comes twice the later record counts, even far apart."""
        keys = [b"k%05d" % (number * 7_919 % 10_007) for number in range(10_007)]
        items = [*((key, b"old") for key in keys[:9_000]), *((key, b"new") for key in keys[5_000:])]
        store.load(SPACE, snapshot("s1"), iter(items))
        found = content(store, keys)
        assert found == {key: b"old" if place < 5_000 else b"new" for place, key in enumerate(keys)}
        assert store.size(SPACE).keys == 10_007

    def test_an_empty_snapshot(self, store: OnlineStore) -> None:
        """A service of no entity yet has a snapshot of no record."""
        store.load(SPACE, snapshot("s1"), [])
        assert store.read(SPACE, [b"a"]).records == [None]
        store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"1")])
        assert store.read(SPACE, [b"a"]).records == [b"1"]

    def test_a_change(self, store: OnlineStore) -> None:
        """A difference adds, replaces and takes away, and leaves the rest."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")])
        store.change(SPACE, snapshot("s2", "s1"), [(b"b", None), (b"c", b"33"), (b"d", b"4"), (b"none", None)])
        assert content(store, [b"a", b"b", b"c", b"d"]) == {b"a": b"1", b"b": None, b"c": b"33", b"d": b"4"}
        found = store.snapshot(SPACE)
        assert found is not None
        assert (found.id, found.parent, found.keys) == ("s2", "s1", 3)

    def test_a_key_twice_in_a_change(self, store: OnlineStore) -> None:
        """Of a key that comes twice in a difference the later record counts, and a rollback brings back what was before."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"2"), (b"b", b"2"), (b"a", b"3"), (b"b", None)])
        assert content(store, [b"a", b"b"]) == {b"a": b"3", b"b": None}
        store.rollback(SPACE)
        assert content(store, [b"a", b"b"]) == {b"a": b"1", b"b": None}

    def test_changes_on_changes(self, store: OnlineStore) -> None:
        """A long chain of differences is what a dictionary would be, and each step goes back by one."""
        store.load(SPACE, snapshot("s0"), [(b"k%d" % number, b"0") for number in range(10)])
        model: dict[bytes, bytes] = {b"k%d" % number: b"0" for number in range(10)}
        before: Mapping[bytes, bytes] = model
        for step in range(1, 20):
            before = dict(model)
            items: list[tuple[bytes, bytes | None]] = [
                (b"k%d" % (step * 3 % 11), b"%d" % step),
                (b"k%d" % (step * 5 % 7), None if step % 2 else b"-%d" % step),
            ]
            for key, record in items:
                model.pop(key, None)
                if record is not None:
                    model[key] = record
            store.change(SPACE, snapshot(f"s{step}", f"s{step - 1}"), items)
            keys = [b"k%d" % number for number in range(11)]
            assert content(store, keys) == {key: model.get(key) for key in keys}
            assert store.size(SPACE).keys == len(model)
        assert store.rollback(SPACE).id == "s18"
        assert content(store, keys) == {key: before.get(key) for key in keys}

    def test_a_change_of_another_parent(self, store: OnlineStore) -> None:
        """A difference to what is not live is refused, and changes nothing."""
        with pytest.raises(SnapshotConflict, match="none is live"):
            store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"2")])
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        with pytest.raises(SnapshotConflict, match="s9"):
            store.change(SPACE, snapshot("s2", "s9"), [(b"a", b"2")])
        assert content(store, [b"a"]) == {b"a": b"1"}

    def test_a_load_of_another_parent(self, store: OnlineStore) -> None:
        """A whole snapshot that takes the place of what is not live is refused before a record is asked for, and changes nothing."""

        def never(item: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
            raise AssertionError(f"a record was asked for: {item!r}")

        items = [(b"a", b"2")]
        with pytest.raises(SnapshotConflict, match="none is live"):
            store.load(SPACE, snapshot("s2", "s1"), map(never, items))
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        with pytest.raises(SnapshotConflict, match="is the first, and s1 is live"):
            store.load(SPACE, snapshot("s2"), map(never, items))
        with pytest.raises(SnapshotConflict, match="takes the place of s9, and s1 is live"):
            store.load(SPACE, snapshot("s2", "s9"), map(never, items))
        assert content(store, [b"a"]) == {b"a": b"1"}

    def test_a_load_that_was_overtaken(self, store: OnlineStore, again: Callable[[], OnlineStore]) -> None:
        """A slow load never takes the place of what went live while it was under way: it was made of older data."""
        other = again()

        def slow(then: Callable[[], object]) -> Iterator[tuple[bytes, bytes]]:
            yield b"a", b"older"
            then()
            yield b"b", b"older"

        first = partial(other.load, SPACE, snapshot("s1"), [(b"a", b"newer")])
        with pytest.raises(SnapshotConflict, match="is the first, and s1 is live"):
            store.load(SPACE, snapshot("late"), slow(first))
        assert content(store, [b"a", b"b"]) == {b"a": b"newer", b"b": None}
        second = partial(other.load, SPACE, snapshot("s2", "s1"), [(b"a", b"newest")])
        with pytest.raises(SnapshotConflict, match="takes the place of s1, and s2 is live"):
            store.load(SPACE, snapshot("late", "s1"), slow(second))
        change = partial(other.change, SPACE, snapshot("s3", "s2"), [(b"a", b"changed")])
        with pytest.raises(SnapshotConflict, match="takes the place of s2, and s3 is live"):
            store.load(SPACE, snapshot("late", "s2"), slow(change))
        assert content(store, [b"a", b"b"]) == {b"a": b"changed", b"b": None}
        assert store.rollback(SPACE).id == "s2"
        assert content(store, [b"a", b"b"]) == {b"a": b"newest", b"b": None}
        store.load(SPACE, snapshot("s4", "s2"), [(b"a", b"4")])
        assert content(store, [b"a", b"b"]) == {b"a": b"4", b"b": None}

    @pytest.mark.parametrize("operation", ["load", "change"])
    def test_what_is_sent_again(self, store: OnlineStore, operation: str) -> None:
        """A load or change that is live already stays as it is, and can still be gone back from."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        for _ in range(2):
            getattr(store, operation)(SPACE, snapshot("s2", "s1"), [(b"a", b"2")])
        assert content(store, [b"a"]) == {b"a": b"2"}
        store.rollback(SPACE)
        assert content(store, [b"a"]) == {b"a": b"1"}

    def test_back_from_a_load(self, store: OnlineStore) -> None:
        """A rollback brings the snapshot before back, as it was, and goes one step alone."""
        assert store.previous(SPACE) is None
        store.load(SPACE, snapshot("s1"), [(b"a", b"1"), (b"b", b"1")])
        assert store.previous(SPACE) is None
        store.load(SPACE, snapshot("s2", "s1"), [(b"b", b"2"), (b"c", b"2")])
        assert content(store, [b"a", b"b", b"c"]) == {b"a": None, b"b": b"2", b"c": b"2"}
        before = store.previous(SPACE)
        back = store.rollback(SPACE)
        assert back == before
        assert (back.id, back.keys) == ("s1", 2)
        assert store.previous(SPACE) is None
        assert content(store, [b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"1", b"c": None}
        with pytest.raises(NotMaterialized, match="before"):
            store.rollback(SPACE)
        store.change(SPACE, snapshot("s3", "s1"), [(b"c", b"3")])
        assert content(store, [b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"1", b"c": b"3"}

    def test_a_source_that_fails(self, store: OnlineStore) -> None:
        """Records that end in an error leave everything as it was, and the next load and change are whole."""

        def broken() -> Iterator[tuple[bytes, bytes]]:
            for number in range(30_000):
                yield b"k%06d" % number, b"new" * 50
            raise RuntimeError("the source broke")

        store.load(SPACE, snapshot("s1"), [(b"k000001", b"old")])
        with pytest.raises(RuntimeError, match="broke"):
            store.load(SPACE, snapshot("s2", "s1"), broken())
        with pytest.raises(RuntimeError, match="broke"):
            store.change(SPACE, snapshot("s2", "s1"), broken())
        assert content(store, [b"k000001", b"k000002"]) == {b"k000001": b"old", b"k000002": None}
        store.change(SPACE, snapshot("s3", "s1"), [(b"x", b"1")])
        assert content(store, [b"k000001", b"k000002", b"x"]) == {b"k000001": b"old", b"k000002": None, b"x": b"1"}
        store.load(SPACE, snapshot("s4", "s3"), [(b"x", b"2")])
        assert content(store, [b"k000001", b"x"]) == {b"k000001": None, b"x": b"2"}

    def test_spaces_are_apart(self, store: OnlineStore) -> None:
        """Services, and versions of one, do not meet; dropping one leaves the others."""
        names = ["delay_model@1", "delay_model@2", "delay_model@11", "another/{x}@1"]
        for name in names:
            store.load(name, snapshot("s1"), [(b"a", name.encode())])
            store.push(name, [row(b"a", name)])
        assert store.spaces() == sorted(names)
        store.drop(names[0])
        assert store.spaces() == sorted(names[1:])
        assert store.snapshot(names[0]) is None
        for name in names[1:]:
            assert content(store, [b"a"], name) == {b"a": name.encode()}
            assert store.read(name, [b"a"]).pushed == [(name.encode(),)]
        store.drop("never was")

    def test_a_closed_store_opens_again(self, store: OnlineStore) -> None:
        """What was loaded and pushed is there after the store was closed."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        store.push(SPACE, [row(b"a", "p")])
        store.close()
        assert store.read(SPACE, [b"a"])[1:] == (1, [b"1"], [(b"p",)])


class OverlayConformance:
    """Pushed rows: once each, ordered, settled when a snapshot holds them."""

    def test_rows_come_in_order(self, store: OnlineStore) -> None:
        """Rows of a key come by event time, known time and arrival, whatever order they were pushed in."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        rows = [
            row(b"a", "5/1", 5, 1),
            row(b"a", "-9/0", -9),
            row(b"b", "x"),
            row(b"a", "5/0", 5, 0),
            row(b"a", "5/0'", 5, 0),
        ]
        assert store.push(SPACE, rows[:2]) == 2
        assert store.push(SPACE, rows[2:]) == 5
        found = store.read(SPACE, [b"b", b"a", b"c"])
        assert found.pushed == [(b"x",), (b"-9/0", b"5/0", b"5/0'", b"5/1"), ()]
        assert found.sequence == 5
        assert store.size(SPACE).pushed == 5

    def test_times_are_whole(self, store: OnlineStore) -> None:
        """Times to the last microsecond of int64 order rows, and come back."""
        bounds = [-(2**63), -1, 0, 2**53 + 1, 2**53 + 2, 2**63 - 1]
        store.load(SPACE, snapshot("s1"), [])
        pushed = [row(b"a", f"{e}", e, -e - 1) for e in reversed(bounds)]
        store.push(SPACE, pushed)
        assert store.read(SPACE, [b"a"]).pushed == [tuple(f"{e}".encode() for e in bounds)]
        assert [each for _, each in store.pending(SPACE)] == pushed

    def test_once_however_often(self, store: OnlineStore) -> None:
        """A row that is sent again counts once, the first; one of the same idempotency key in another space counts, too."""
        store.load(SPACE, snapshot("s1"), [])
        assert store.push(SPACE, [row(b"a", "x", 1), row(b"a", "x", 2)]) == 1
        again = Pushed(b"a", b"x", 3, 3, b"another row")
        assert store.push(SPACE, [again, row(b"a", "y", 4)]) == 2
        assert store.push(SPACE, [again]) == 2
        assert store.read(SPACE, [b"a"]).pushed == [(b"x", b"y")]
        assert store.push("another@1", [again]) == 1

    def test_once_after_it_was_settled(self, store: OnlineStore) -> None:
        """A retry that comes after a snapshot took the row in counts no second time."""
        store.load(SPACE, snapshot("s1"), [])
        store.push(SPACE, [row(b"a", "x")])
        for number in (2, 3):
            store.change(SPACE, snapshot(f"s{number}", f"s{number - 1}"), [(b"a", b"with x")], settled=1)
        assert store.push(SPACE, [row(b"a", "x")]) == 1
        assert store.read(SPACE, [b"a"])[1:] == (1, [b"with x"], [()])

    def test_what_was_pushed_first_is_kept(self, store: OnlineStore) -> None:
        """By its idempotency key a row comes back as it was pushed first, until a snapshot holds it for good."""
        assert store.kept(SPACE, [b"x"]) == [None]
        first = Pushed(b"a", b"x", 1, -2, b"first")
        store.push(SPACE, [first, row(b"b", "y" * 600)])
        store.push(SPACE, [Pushed(b"other", b"x", 3, 4, b"second")])
        found = store.kept(SPACE, [b"y" * 600, b"none", b"x", b"x"])
        assert found == [row(b"b", "y" * 600), None, first, first]
        assert store.kept(SPACE, []) == []
        assert store.kept("another@1", [b"x"]) == [None]
        store.load(SPACE, snapshot("s1"), [], settled=1)
        store.change(SPACE, snapshot("s2", "s1"), [], settled=1)
        assert store.kept(SPACE, [b"x", b"y" * 600]) == [None, row(b"b", "y" * 600)]
        store.drop(SPACE)
        assert store.kept(SPACE, [b"y" * 600]) == [None]

    def test_rows_of_several_spaces(self, store: OnlineStore) -> None:
        """They are added to each, once; a bad one among them keeps out all, of every space."""
        assert store.push_all([]) == []
        both = [("log", [row(b"a", "x"), row(b"a", "y")]), (SPACE, [row(b"b", "x")])]
        assert store.push_all(both) == [2, 1]
        assert store.push_all([(SPACE, [row(b"b", "x"), row(b"b", "z")]), ("log", [])]) == [2, 2]
        assert [each.row for _, each in store.pending("log")] == [b"x", b"y"]
        assert [each.row for _, each in store.pending(SPACE)] == [b"x", b"z"]
        with pytest.raises(KeyViolation, match=f"{SPACE}: row 0 "):
            store.push_all([("log", [row(b"a", "later")]), (SPACE, [Pushed(b"", b"i", 0, 0, b"")])])
        assert len(list(store.pending("log"))) == 2

    def test_rows_before_the_first_snapshot(self, store: OnlineStore) -> None:
        """What is pushed before a space is materialised is there when it is, and until a snapshot holds it."""
        assert store.push(SPACE, [row(b"a", "x")]) == 1
        assert store.spaces() == [SPACE]
        assert store.snapshot(SPACE) is None
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        assert store.read(SPACE, [b"a"]).pushed == [(b"x",)]

    def test_settled_with_a_snapshot(self, store: OnlineStore) -> None:
        """Rows that a snapshot holds leave as it comes, those after them stay, and a rollback brings them back."""
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        store.push(SPACE, [row(b"a", name) for name in ("x", "y", "z")])
        store.change(SPACE, snapshot("s2", "s1"), [(b"a", b"with x, y")], settled=2)
        assert store.read(SPACE, [b"a"])[1:] == (3, [b"with x, y"], [(b"z",)])
        assert [number for number, _ in store.pending(SPACE)] == [3]
        assert store.size(SPACE).pushed == 1
        store.rollback(SPACE)
        assert store.read(SPACE, [b"a"])[1:] == (3, [b"1"], [(b"x", b"y", b"z")])
        assert [number for number, _ in store.pending(SPACE)] == [1, 2, 3]
        store.load(SPACE, snapshot("s3", "s1"), [(b"a", b"with all")], settled=3)
        assert store.read(SPACE, [b"a"])[1:] == (3, [b"with all"], [()])
        store.load(SPACE, snapshot("s4", "s3"), [(b"a", b"still")], settled=1)
        assert store.read(SPACE, [b"a"])[1:] == (3, [b"still"], [()])
        assert store.push(SPACE, [row(b"a", "later")]) == 4
        assert store.read(SPACE, [b"a"])[1:] == (4, [b"still"], [(b"later",)])

    def test_settled_by_itself(self, store: OnlineStore) -> None:
        """What is settled leaves the overlay; nothing is settled that was not pushed, and nothing comes back by settling."""
        with pytest.raises(NotMaterialized, match=SPACE):
            store.settle(SPACE, 1)
        store.load(SPACE, snapshot("s1"), [])
        store.push(SPACE, [row(b"a", name) for name in ("x", "y")])
        store.settle(SPACE, 1)
        assert store.read(SPACE, [b"a"]).pushed == [(b"y",)]
        store.settle(SPACE, 0)
        assert store.read(SPACE, [b"a"]).pushed == [(b"y",)]
        store.settle(SPACE, 99)
        assert store.push(SPACE, [row(b"a", "z")]) == 3
        assert store.read(SPACE, [b"a"]).pushed == [(b"z",)]

    def test_pending_rows(self, store: OnlineStore) -> None:
        """Rows to be flushed come by sequence, after one that is named, however many; a drop forgets them."""
        assert list(store.pending(SPACE)) == []
        rows = [row(b"k%d" % (number % 7), f"row {number}", number, -number) for number in range(5_000)]
        for start in range(0, len(rows), 1_250):
            store.push(SPACE, rows[start : start + 1_250])
        assert list(store.pending(SPACE)) == list(enumerate(rows, 1))
        assert list(store.pending(SPACE, after=4_990)) == list(enumerate(rows[4_990:], 4_991))
        assert list(store.pending(SPACE, after=5_000)) == []
        store.load(SPACE, snapshot("s1"), [], settled=4_999)
        store.load(SPACE, snapshot("s2", "s1"), [], settled=4_999)
        assert list(store.pending(SPACE)) == [(5_000, rows[-1])]
        store.drop(SPACE)
        assert list(store.pending(SPACE)) == []

    def test_the_sequence_outlives_a_drop(self, store: OnlineStore) -> None:
        """A space that is dropped and comes back gives no sequence a second time."""
        store.load(SPACE, snapshot("s1"), [])
        store.push(SPACE, [row(b"a", "x"), row(b"a", "y")])
        store.drop(SPACE)
        store.load(SPACE, snapshot("s1"), [(b"a", b"1")])
        assert store.read(SPACE, [b"a"])[1:] == (2, [b"1"], [()])
        assert store.push(SPACE, [row(b"a", "x")]) == 3
        assert [number for number, _ in store.pending(SPACE)] == [3]

    @pytest.mark.parametrize(
        ("bad", "says"),
        [
            (Pushed(b"", b"i", 0, 0, b""), "no key"),
            (Pushed(b"a", b"", 0, 0, b""), "no idempotency key"),
            (Pushed(b"a", b"i", 2**63, 0, b""), "int64"),
            (Pushed(b"a", b"i", 0, -(2**63) - 1, b""), "int64"),
        ],
    )
    def test_bad_rows(self, store: OnlineStore, bad: Pushed, says: str) -> None:
        """A row that cannot be kept is an error that names it, and none of its push is kept."""
        store.load(SPACE, snapshot("s1"), [])
        with pytest.raises(KeyViolation, match=f"row 1 .*{says}"):
            store.push(SPACE, [row(b"a", "good"), bad])
        assert store.read(SPACE, [b"a"])[1:] == (0, [None], [()])


class OnlineConformance(SnapshotsConformance, OverlayConformance, TogetherConformance):
    """All that an online store must do; a fixture `again` returns a function that opens the same store once more."""
