"""Rules of retention, and times as people write them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataplat._lake import Lake
from dataplat.errors import ConfigError, VersionNotFound
from dataplat.versioning.gc._retention import Rule, span

DAY = 86_400 * 1_000_000


def test_either_of_age_and_number_keeps():
    """A version stays if it is young enough or among the newest."""
    rule = Rule.parse("30d, 10")
    assert rule.keeps(29 * DAY, 500)
    assert rule.keeps(31 * DAY, 9)
    assert not rule.keeps(31 * DAY, 10)


def test_one_alone_decides_alone():
    """Where only an age, or only a number, is given, the other keeps nothing."""
    assert not Rule.parse("30d").keeps(31 * DAY, 0)
    assert not Rule.parse("3").keeps(0, 3)
    assert Rule.parse("3").keeps(99 * DAY, 2)


def test_all_wins():
    """`all` keeps everything, whatever else is named."""
    assert Rule.parse("all").keeps(10**18, 10**6)
    assert Rule.parse("10,all") == Rule()


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("2w", 1_209_600)])
def test_spans(text, seconds):
    """A time is a number and a unit."""
    assert span(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "1", "h", "1y", "-1h", "1.5h"])
def test_other_times_are_refused(text):
    """What is no time is said to be none."""
    with pytest.raises(ConfigError):
        span(text)


def test_what_two_branches_began_with_stays(memory_lake):
    """Rules of a number leave the versions that a later merge compares both sides with; other old ones go."""
    lake = memory_lake
    for at in range(3):
        lake.ingest(pa.table({"id": [1, 2], "v": [at, at]}), "t", key="id", mode="upsert")
    lake.branch("exp")
    for at, branch in ((10, "main"), (11, "main"), (20, "exp"), (21, "exp")):
        lake.ingest(pa.table({"id": [1 if branch == "main" else 2], "v": [at]}), "t", mode="upsert", branch=branch)
    lake.gc("1", grace="0s")
    fresh = Lake(lake.store, "test", "memory")
    assert fresh["t~2"].to_arrow()["v"].to_pylist() == [2, 2]
    with pytest.raises(VersionNotFound):
        fresh["t~1"].to_arrow()
    fresh.merge("exp")
    assert sorted(fresh["t"].to_arrow()["v"].to_pylist()) == [11, 21]
