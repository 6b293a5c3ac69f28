"""Served requests, from the files of those who serve to the dataset `features.served`: in few commits, each row once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from dataplat.errors import DataplatError
from dataplat.feature_store.online.connect import state_folder
from dataplat.feature_store.served import MOST, landing, read, segments
from dataplat.feature_store.served import ServedLog as Spool

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore

DATASET: Final = "features.served"
EVERY: Final = 60.0
"""Seconds between commits."""
COMMIT_BYTES: Final = 64 * 10**6
"""Bytes of segments that become one commit."""
SPOOL_BYTES: Final = 10**9
"""Bytes that wait for a lake that cannot be written; beyond, the oldest go."""
_LOG: Final = logging.getLogger("dataplat.serve")


@dataclass(frozen=True, slots=True)
class Landed:
    """What was landed: rows, and the commit, None where there was nothing."""

    rows: int
    commit: str | None


def folder_of(store: FeatureStore) -> Path:
    """Return where served requests of a lake wait to be landed: beside this user's online stores."""
    return state_folder().parent / "served" / store.lake.id / quote(store.branch, safe="")


def land(store: FeatureStore) -> Landed:
    """Land what waits, unless another process is at it; killed anywhere, each row is landed once.

    Segments go when the commit with their rows is there. A row that is landed again has the same `id`, and is one row.
    """
    folder = folder_of(store)
    with landing(folder) as mine:
        rows, commit = 0, None
        for some in _several(segments(folder) if mine else []):
            landed = _land(store, some)
            rows, commit = rows + landed.rows, landed.commit or commit
            for path in some:
                path.unlink(missing_ok=True)
        return Landed(rows, commit)


def _several(paths: list[Path]) -> Iterator[list[Path]]:
    """Yield segments in the portions that become one commit each."""
    some: list[Path] = []
    nbytes = 0
    for path in paths:
        some.append(path)
        nbytes += path.stat().st_size
        if nbytes >= COMMIT_BYTES:
            yield some
            some, nbytes = [], 0
    if some:
        yield some


def _land(store: FeatureStore, paths: list[Path]) -> Landed:
    import pyarrow as pa

    table = pa.concat_tables([read(path) for path in paths])
    if not table.num_rows:
        return Landed(0, None)
    done = store.lake.ingest(
        table.sort_by("t"),
        DATASET,
        mode="upsert",
        key=["id"],
        branch=store.branch,
        message=f"{table.num_rows:,} served requests",
    )
    return Landed(table.num_rows, done.commit)


def trim(folder: Path, most: int = SPOOL_BYTES) -> int:
    """Remove the oldest segments where more than `most` bytes wait; return how many were removed."""
    paths = segments(folder)
    nbytes = sum(path.stat().st_size for path in paths)
    removed = 0
    for path in paths:
        if nbytes <= most:
            break
        nbytes -= path.stat().st_size
        path.unlink(missing_ok=True)
        removed += 1
    return removed


class ServedLog:
    """The log of a process that serves: requests are recorded, written every second, and landed every minute.

    Attributes:
        spool: the files; its counts say what was logged, skipped and dropped.
    """

    def __init__(self, store: FeatureStore, spool: Spool, every: float) -> None:
        self.spool = spool
        self.record = spool.record
        self._store, self._every = store, every
        self._ending = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="dataplat-served-landing", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, store: FeatureStore, *, sample: float = 1.0, most: float | None = MOST, every: float = EVERY) -> Self:
        """Begin a log of what is served of a lake.

        Args:
            store: the feature store.
            sample: the share of requests that is logged, by chance.
            most: rows a second of this process; None: all.
            every: seconds between commits.
        """
        return cls(store, Spool(folder_of(store), sample=sample, most=most), every)

    def _run(self) -> None:
        while not self._ending.wait(self._every):
            self._land()

    def _land(self) -> None:
        try:
            land(self._store)
        except (DataplatError, OSError) as error:  # what waits is landed the next time
            if self._trouble != type(error).__name__:
                _LOG.error("served requests wait in %s: %s", folder_of(self._store), error)
            self._trouble = type(error).__name__
            if removed := trim(folder_of(self._store)):
                _LOG.error("%d segments of served requests were removed: too much waits", removed)
        else:
            self._trouble = ""

    def close(self) -> None:
        """Write what waits, and land it, unless another process is at that: it, or the next, lands this too."""
        self._ending.set()
        self._thread.join()
        self.spool.close()
        self._land()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
