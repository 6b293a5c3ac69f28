"""Prove from the commits of a dataset that each offset of a topic is in it once, and name those that are not.

Every commit says which range of offsets of a partition it holds, and which position it assumed; the branch moved only
where that was so. So the ranges are followed from the head back to the first: each has to begin where the one before it
ended. Offsets count anew where the topic was made anew, or its log was cut back: what was read of each such log is looked at
for itself. Where a dataset keeps `_partition` and `_offset`, its rows are counted too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataplat.connectors.kafka._positions import SOURCE
from dataplat.errors import SourceError
from dataplat.versioning.history import log

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.versioning.commit import Commit

_ANEW: Final = frozenset({"recreated", "truncated"})
"""Gaps after which offsets count anew."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Offsets that no commit holds, between those that commits do.

    `why` is "retention" (it was marked when it was met), or "unknown": the commits do not follow on each other. With
    "truncated" or "recreated" the log that was read up to `begin` is followed by one that is read from `end` on.
    """

    begin: int
    end: int
    why: str
    commit: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"from": self.begin, "to": self.end, "why": self.why, "commit": self.commit}


@dataclass(frozen=True, slots=True)
class Overlap:
    """Offsets that two commits hold."""

    begin: int
    end: int
    commit: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"from": self.begin, "to": self.end, "commit": self.commit}


@dataclass(frozen=True, slots=True)
class PartitionProof:
    """What commits hold of one partition: offsets from `begin` up to `end`, in `commits` ranges of `records` in all.

    A partition whose topic was made anew (it has another `topic_id` then), or whose log was cut back, has several, the
    oldest first.
    """

    source: str
    topic: str
    partition: int
    topic_id: str
    begin: int
    end: int
    commits: int
    records: int
    holes: tuple[Hole, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    broken: str = ""

    @property
    def ok(self) -> bool:
        """Whether every offset is held once, but for holes that were marked when they were met."""
        return not self.broken and not self.overlaps and all(hole.why != "unknown" for hole in self.holes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "source": self.source,
            "topic": self.topic,
            "partition": self.partition,
            "topic_id": self.topic_id,
            "from": self.begin,
            "to": self.end,
            "commits": self.commits,
            "records": self.records,
            "holes": [hole.to_dict() for hole in self.holes],
            "overlaps": [overlap.to_dict() for overlap in self.overlaps],
            "broken": self.broken,
            "ok": self.ok,
        }


@dataclass(frozen=True, slots=True)
class StreamProof:
    """What `verify_ingest` found, partition by partition."""

    dataset: str
    branch: str
    partitions: tuple[PartitionProof, ...]
    rows: str = ""

    @property
    def ok(self) -> bool:
        """Whether every offset is held exactly once."""
        return not self.rows and all(partition.ok for partition in self.partitions)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "ok": self.ok,
            "rows": self.rows,
            "partitions": [partition.to_dict() for partition in self.partitions],
        }


def verify_ingest(lake: Lake, dataset: str, branch: str) -> StreamProof:
    """Follow the positions of the streams of a dataset back through its commits; see `Lake.verify_ingest`."""
    version = lake.version(dataset, branch)  # says so, where there is none
    head = lake.refs.head(branch).commit
    state = head.dataset(dataset, lake.objects.read)
    assert state is not None
    held = state.load_positions(None, lake.objects.read)
    streams = {source: at for source, at in held.items() if source.startswith(SOURCE) and at is not None}
    if not streams:
        raise SourceError(
            f"nothing of {dataset}@{branch} came from a stream: there are no offsets to prove anything of"
        )
    chains = _chains(lake, head, dataset, streams)
    proofs = tuple(
        proof
        for source in sorted(streams, key=_by_number)
        for proof in _proofs(source, streams[source], chains[source])
    )
    columns = set(version.schema.names)
    rows = _rows(lake, dataset, branch, proofs) if {"_partition", "_offset"} <= columns and not version.key else ""
    return StreamProof(dataset, branch, proofs, rows)


@dataclass(slots=True)
class _Chain:
    """Ranges of a partition, newest first, as they follow from the head; `wanted` is the position looked for next."""

    wanted: Any
    ranges: list[tuple[dict[str, Any], str]]


def _chains(lake: Lake, head: Commit, dataset: str, streams: dict[str, Any]) -> dict[str, _Chain]:
    chains = {source: _Chain(at, []) for source, at in streams.items()}
    open_chains = set(chains)
    read = lake.objects.read
    for entry in log(lake.objects, head, dataset):
        if not open_chains:
            break
        positions = entry.change.load_positions(read)
        starts = entry.change.load_starts(read)
        for source in open_chains & positions.keys():
            chain = chains[source]
            if positions[source] == chain.wanted:  # else it was rolled back: the head does not hold it
                chain.ranges.append((positions[source], entry.commit.id))
                chain.wanted = starts.get(source)
                if chain.wanted is None:
                    open_chains.discard(source)
    return chains


def _proofs(source: str, at: dict[str, Any], chain: _Chain) -> Iterator[PartitionProof]:
    """Yield what is held of each log that the partition had; `at` is the position of the head."""
    logs: list[list[tuple[dict[str, Any], str]]] = [[]]
    for position, commit in reversed(chain.ranges):
        if logs[-1] and position.get("gap", {}).get("why") in _ANEW:
            logs.append([])
        logs[-1].append((position, commit))
    broken = "" if chain.wanted is None else f"no commit is found that led to offset {chain.wanted['end']:,}"
    for number, log_ in enumerate(logs):
        yield _proof(source, log_ or [(at, "")], broken if number == 0 else "")


def _proof(source: str, ranges: Sequence[tuple[dict[str, Any], str]], broken: str) -> PartitionProof:
    holes: list[Hole] = []
    overlaps: list[Overlap] = []
    before: dict[str, Any] | None = None
    for position, commit in ranges:
        holes += _holes(before, position, commit)
        if before is not None and position["start"] < before["end"]:
            overlaps.append(Overlap(position["start"], before["end"], commit))
        before = position
    topic, partition = _named(source)
    first, last = ranges[0][0], ranges[-1][0]
    return PartitionProof(
        source,
        topic,
        partition,
        last["topic_id"],
        first["start"],
        last["end"],
        len(ranges),
        sum(position["records"] for position, _ in ranges),
        tuple(holes),
        tuple(overlaps),
        broken,
    )


def _holes(before: dict[str, Any] | None, position: dict[str, Any], commit: str) -> Iterator[Hole]:
    gap = position.get("gap")
    if gap is not None:
        yield Hole(gap["from"], gap["to"], gap["why"], commit)
    elif before is not None and position["start"] > before["end"]:
        yield Hole(before["end"], position["start"], "unknown", commit)


def _rows(lake: Lake, dataset: str, branch: str, proofs: Sequence[PartitionProof]) -> str:
    """Return what is wrong with the rows: an offset that is there twice, or outside of what commits hold."""
    query = (
        "select _partition, count(*) as n, count(distinct _offset) as d, min(_offset) as low, max(_offset) as high "
        f'from "{dataset}@{branch}" where _offset is not null group by _partition order by _partition'
    )
    logs: dict[int, list[PartitionProof]] = {}
    for proof in proofs:
        logs.setdefault(proof.partition, []).append(proof)
    wrong = []
    for row in lake.sql(query).to_arrow().to_pylist():
        known = logs.get(row["_partition"], [])
        if not known:
            continue
        if len(known) == 1 and row["n"] != row["d"]:
            wrong.append(f"partition {row['_partition']} has {row['n'] - row['d']:,} offsets twice")
        if row["low"] < min(log_.begin for log_ in known) or row["high"] >= max(log_.end for log_ in known):
            wrong.append(f"partition {row['_partition']} has rows at offsets that no commit names")
        if row["n"] > (records := sum(log_.records for log_ in known)):
            wrong.append(f"partition {row['_partition']} has {row['n']:,} rows of {records:,} records")
    return "; ".join(wrong)


def _named(source: str) -> tuple[str, int]:
    _, topic, partition = source.rsplit("/", 2)
    return topic, int(partition)


def _by_number(source: str) -> tuple[str, int]:
    return source.rpartition("/")[0], int(source.rpartition("/")[2])
