"""How a space lies in Redis: what can be read as of a revision, and what cannot any more."""

from __future__ import annotations

import struct

import pytest

from dataplat.feature_store.online._redis_values import (
    Side,
    State,
    bucket_head,
    logged_row,
    pushed_arguments,
    readable,
    reading,
    record_at,
    rows_at,
    rows_head,
    version,
)
from dataplat.feature_store.online.store import Pushed
from dataplat.testing.online_suite import snapshot

LIVE = Side(snapshot("s1"), "generation", 1, 7, 1, settled=2)
STATE = State(LIVE, None, (), "nonce")


@pytest.mark.parametrize(
    ("revision", "can"), [(2, False), (3, True), (4, False), (5, True), (6, False), (7, True), (8, True)]
)
def test_revisions_of_a_bucket(revision: int, can: bool) -> None:
    """A bucket can be read as of its last writer and later, of that one's parent, and of the one before that."""
    assert readable(bucket_head(3, 5, 7), revision) is can


def test_a_bucket_that_is_gone() -> None:
    """Of a bucket that is not there nothing can be read."""
    assert not readable(None, 7)


@pytest.mark.parametrize(
    ("revision", "dead", "record"),
    [
        (2, (), None),
        (3, (), b"three"),
        (4, (), b"three"),
        (5, (), None),
        (7, (), b"seven"),
        (7, (7,), None),
        (9, (7, 5), b"three"),
    ],
)
def test_versions_of_a_record(revision: int, dead: tuple[int, ...], record: bytes | None) -> None:
    """The newest version counts that is not newer than the revision, and not dead; one may say that there is no record."""
    value = version(3, b"three") + version(5, None) + version(7, b"seven")
    assert record_at(value, revision, dead) == record


def test_one_version() -> None:
    """A record of one version is there from its revision on, an empty one too."""
    assert record_at(version(3, b""), 3, ()) == b""
    assert record_at(version(3, b""), 2, ()) is None
    assert record_at(version(3, b"x"), 4, (3,)) is None
    assert record_at(version(3, None), 4, ()) is None
    assert record_at(None, 4, ()) is None


def test_rows_that_moved_between() -> None:
    """A read is done again where rows that it needs were removed meanwhile, or were not there yet, or a bucket has moved on."""
    head, bucket = (b"state", b"4"), ([0], [bucket_head(7, 7, 7), version(7, b"record")])

    def read(purged: int, newest: int, moved: bool = False) -> object:
        told = bucket if not moved else ([0], [bucket_head(8, 8, 9), None])
        return reading(STATE, [b"a"], (head, [struct.pack(">QQ", purged, newest), None], [told]))

    assert read(2, 4) == (LIVE.snapshot, 4, [b"record"], [()])
    assert read(0, 9) == (LIVE.snapshot, 4, [b"record"], [()])
    assert read(3, 4) is None
    assert read(2, 3) is None
    assert read(2, 4, moved=True) is None


def test_a_row_there_and_back() -> None:
    """Rows come back from the overlay and the log as they were pushed."""
    row = Pushed(b"key", b"again", -(2**63), 2**63 - 1, b"bytes")
    key, known, times, data = pushed_arguments(row)
    assert logged_row(struct.pack(">II", len(key), len(known)) + key + known + times + data) == row
    later = b"".join(struct.pack(">I", 1) + times + struct.pack(">Q", number) + b"%d" % number for number in (3, 2, 9))
    assert rows_at(later, 1, 5) == (b"2", b"3")
    assert rows_at(None, 0, 5) == ()
    assert rows_head(None) == (0, 0)
