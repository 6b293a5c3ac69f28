"""Try rejected records of streams again: those that are rows now land, and leave the rejects in the same commit.

A dataset has a position of its own for that (`replay:NAME.rejects`), which counts how often it was done. Each replay
assumes the one before it, so of two at a time one commits, and the other plans anew on what that left.

A record waited, and its key may have changed meanwhile. In a dataset with a key only those land of which that can be ruled
out: see `_older`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from dataplat.connectors.codecs import open_codec
from dataplat.connectors.codecs._unify import fit, fitted
from dataplat.connectors.kafka._cut import Block, joined
from dataplat.connectors.kafka._kept import kept_in, without_kept
from dataplat.connectors.source import Deletes, Item, Position, Progress, SchemaWidened, Split
from dataplat.errors import PositionConflict
from dataplat.ingest._draft import Draft, Run
from dataplat.ingest._ingest import IngestStep
from dataplat.ingest._older import Places, older
from dataplat.ingest._progress import Meter
from dataplat.ingest._rejected import Rejected
from dataplat.ingest._request import IngestRequest, as_schema
from dataplat.ingest._stream_options import StreamOptions, stream_options
from dataplat.lake.schema import plain_schema
from dataplat.versioning.names import check_dataset_name

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.connectors.codecs import Codec, Decoded, Records
    from dataplat.connectors.kafka._kept import Kept
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import SchemaLike
    from dataplat.ingest._result import IngestResult
    from dataplat.ingest._target import Target
    from dataplat.versioning.commit import Commit

_TRIES: Final = 20
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that stays in the rejects: where it lies in its topic, and why."""

    topic: str
    partition: int
    offset: int
    why: str

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}: {self.why}"


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay did, or would do: of `tried` records `landed` left the rejects, in `commit` (None: in none).

    `still_rejected` are none yet, `older` may be older than what the dataset holds; the first of either are in `waiting`.
    `of_files` were not tried, since they came from files. `rows_added` and `rows_deleted` are what the version changed by.
    """

    dataset: str
    branch: str
    commit: str | None = None
    version: Version | None = field(default=None, repr=False)
    tried: int = 0
    landed: int = 0
    still_rejected: int = 0
    older: int = 0
    of_files: int = 0
    rows_added: int = 0
    rows_deleted: int = 0
    waiting: tuple[Waiting, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "commit": self.commit,
            "version": None if self.version is None else self.version.id,
            "tried": self.tried,
            "landed": self.landed,
            "still_rejected": self.still_rejected,
            "older": self.older,
            "of_files": self.of_files,
            "rows_added": self.rows_added,
            "rows_deleted": self.rows_deleted,
            "waiting": [
                {"topic": one.topic, "partition": one.partition, "offset": one.offset, "why": one.why}
                for one in self.waiting
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Which rejects of which dataset are tried again (`where` is a condition on their columns), and how they are read."""

    into: str
    where: str | None = None
    stream: StreamOptions = field(default_factory=StreamOptions)
    schema: pa.Schema | None = None
    older: bool = False
    branch: str = "main"
    message: str | None = None


def replay_request(
    dataset: str,
    where: str | None,
    *,
    source_format: str | None = None,
    registry: str | None = None,
    schema: SchemaLike | None = None,
    older: bool = False,
    branch: str = "main",
    message: str | None = None,
) -> ReplayRequest:
    """Return the request for what a user gave; raise `ConfigError` for what makes no sense."""
    stream = stream_options(source_format, {"registry": registry})
    return ReplayRequest(dataset, where, stream, as_schema(schema), older, branch, message)


def replay(lake: Lake, request: ReplayRequest, progress: Listener | None = None, *, plan: bool = False) -> ReplayResult:
    """Try rejected records again, and commit those that are rows now; with `plan` only say what would happen.

    Raises:
        DatasetNotFound: There is no such dataset.
        PositionConflict: Others replayed the same rejects again and again meanwhile. Nothing was committed.
    """
    for attempt in range(_TRIES):
        run = Run.begin(lake, request.branch, request.message or f"replay of {request.into}.rejects")
        try:
            run.take(_ReplayStep(request, Meter(progress)))
            if not plan:
                run.commit()
            found: ReplayResult = run.results[0]
            return found
        except PositionConflict:  # somebody else was faster: what that left is looked at anew
            if attempt == _TRIES - 1:
                raise
        finally:
            run.close()
    raise AssertionError


@dataclass(slots=True)
class _ReplayStep:
    """A replay as a step: an ingest of what can be read now, and a delete of just that from the rejects."""

    request: ReplayRequest
    meter: Meter
    ingest: IngestStep | None = None
    landed: IngestResult | None = None
    replays: bool = True

    def run(self, draft: Draft) -> ReplayResult:
        request = self.request
        self.ingest = self.landed = None
        target = draft.existing(check_dataset_name(request.into))
        result = ReplayResult(request.into, draft.branch)
        there = draft.target(f"{request.into}.rejects")
        if there.manifest is None:
            return replace(result, notes=(f"no record of {request.into} was rejected",))
        self.meter.enter("reading rejects")
        source = _Again.of(draft, target, request, Rejected.of(draft, there, request.where))
        if source.has_any():
            self.ingest = IngestStep(_as_ingest(request, target, source), self.meter)
            self.landed = self.ingest.run(draft)
            draft.add(source.rejected.without(draft, source.done))
            result = replace(result, rows_added=self.landed.rows_added, rows_deleted=self.landed.rows_deleted)
        return replace(
            result,
            tried=source.rejected.count,
            landed=source.landed,
            still_rejected=source.still_rejected,
            older=source.older,
            of_files=source.rejected.of_files,
            waiting=tuple(source.waiting),
        )

    def done(self, draft: Draft, result: ReplayResult, made: Commit | None) -> ReplayResult:
        if made is None or self.ingest is None or self.landed is None:
            return result
        landed = self.ingest.done(draft, self.landed, made)
        return replace(result, commit=made.id, version=landed.version, notes=(*result.notes, *landed.notes))


def _as_ingest(request: ReplayRequest, target: Target, source: _Again) -> IngestRequest:
    assert target.manifest is not None
    return IngestRequest(
        source,
        request.into,
        mode="upsert" if target.manifest.key else "append",
        branch=request.branch,
        stream=request.stream,
    )


@dataclass(slots=True)
class _Again:
    """A `Source` of the rejected records that are rows now, decoded as they are read.

    What it counts is of the last look at them; `done` is where those lie that are to leave the rejects.
    """

    name: str
    rejected: Rejected
    codec: Codec
    places: Places | None
    kept: Kept
    like: pa.Schema
    columns: pa.Schema
    done: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=list)
    still_rejected: int = 0
    older: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    is_text: bool = False
    _start: Position | None = None

    @classmethod
    def of(cls, draft: Draft, target: Target, request: ReplayRequest, rejected: Rejected) -> _Again:
        """Return the source of what was rejected."""
        assert target.manifest is not None
        key = target.manifest.key
        held = plain_schema(target.manifest.schema)
        kept = kept_in(held, ())
        stream = request.stream
        codec = open_codec(stream.codec, registry=stream.registry, schema=request.schema, key=key or None)
        places = Places.of(draft, target, deletes=stream.codec == "debezium") if key and not request.older else None
        return cls(f"replay:{request.into}.rejects", rejected, codec, places, kept, without_kept(held, kept), held)

    @property
    def landed(self) -> int:
        """How many records are to leave the rejects."""
        return sum(len(rows) for _, rows in self.done)

    def has_any(self) -> bool:
        """Look until one is found that lands; return whether there is one."""
        with closing(self._look()) as found:
            return any(self.done for _ in found)

    def _look(self) -> Generator[Block, None, None]:
        """Decode what was rejected, and yield what lands of it."""
        self.done, self.still_rejected, self.older, self.waiting = [], 0, 0, []
        for some in self.rejected.look():
            records = some.records
            decoded = fit(self.codec.decode(records, self.like), self.like, self.like)
            self._note(records, {reject.index: reject.error for reject in decoded.rejects})
            self.still_rejected += len(decoded.rejects)
            late = {} if self.places is None else older(self.places, records, decoded)
            self._note(records, late)
            self.older += len(late)
            stays = late.keys() | {reject.index for reject in decoded.rejects}
            if len(stays) < len(records):
                goes = _others(range(len(records)), stays).to_numpy(zero_copy_only=False)
                self.done.append((some.part[goes], some.row[goes]))
                yield Block.of(records, _without(decoded, late), self.kept, some.source)

    def _note(self, records: Records, why: Mapping[int, str]) -> None:
        for index in sorted(why)[: max(0, _SHOWN - len(self.waiting))]:
            self.waiting.append(Waiting(records.topic, records.partition, int(records.offsets[index]), why[index]))

    # ----------------------------------------------------------------------------------------------- as a source

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the one split, which assumes the replay before."""
        self._start = positions.get(self.name)
        return [Split(self.name, self.name, start=self._start)]

    def schema(self) -> pa.Schema:
        """Return the columns of the dataset, and those that came with records so far."""
        return self.columns

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield deletes and rows, those of a partition in order; raise `SchemaWidened` where columns come with them."""
        for block in self._look():
            if block.batch.num_rows:
                columns = joined(self.columns, [block.batch.schema], self.name)
                assert columns is not None
                if columns != self.columns:
                    self.columns = columns
                    raise SchemaWidened(columns, "a record that was rejected has other columns")
            if block.deletes is not None and block.deletes.num_rows:
                yield Deletes(block.deletes)
            if block.batch.num_rows:
                yield fitted(block.batch, self.columns)

    def position(self, split: Split) -> Position | None:
        """Return how often rejects were replayed, this time included."""
        times = 0 if self._start is None else self._start["times"]
        return {"times": times + 1, "records": self.landed}


def _without(decoded: Decoded, late: Mapping[int, str]) -> Decoded:
    """Return rows and deletes without those that are too old."""
    found = replace(decoded, rejects=())
    if not late:
        return found
    kept = _others(decoded.rows, late)
    found = replace(found, batch=decoded.batch.filter(kept), rows=decoded.rows[kept.to_numpy(zero_copy_only=False)])
    if decoded.deletes is None or decoded.deleted is None or not len(decoded.deleted):
        return found
    kept = _others(decoded.deleted, late)
    left = decoded.deleted[kept.to_numpy(zero_copy_only=False)]
    return replace(found, deletes=decoded.deletes.filter(kept), deleted=left)


def _others(rows: NDArray[np.int64] | range, these: Collection[int]) -> pa.BooleanArray:
    import numpy as np
    import pyarrow as pa

    return pa.array(~np.isin(rows, list(these)))
