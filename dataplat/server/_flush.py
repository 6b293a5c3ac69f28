"""Lands what was pushed, every few seconds, beside the path of requests: one worker of a machine at a time.

Workers hold a lock while they flush, which goes with whoever dies; the next one to look goes on from what the log still has.
Machines that share a Redis may flush at once: each row lands in one commit all the same.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dataplat._features._pushed_names import LOG, PUSHED, logs
from dataplat.errors import DataplatError
from dataplat.events._troubles import Troubles
from dataplat.server._counts import FAILED_FLUSHES, FLUSHED_AT, LANDED, WAITING, Counts

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat._features._store import FeatureStore

PATIENCE: Final = 10.0
"""Seconds for which an end waits for another worker that is at it."""
_LOG: Final = logging.getLogger("dataplat.serve")


class Flusher:
    """The thread of a worker that lands pushed rows.

    Args:
        store: the feature store.
        counts: where it counts.
        every: seconds between commits.
        rows: so many rows of this worker are not waited with.
    """

    def __init__(self, store: FeatureStore, counts: Counts, every: float, rows: int) -> None:
        self._store, self._counts, self._every, self._most = store, counts, every, rows
        # By dataset; "": of the online store itself.
        self._troubles = Troubles(store.lake, store.branch, "pushes waiting", "pushes landing")
        self._rows = 0
        self._due, self._ending = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="dataplat-flush", daemon=True)
        self._thread.start()

    def note(self, rows: int) -> None:
        """Take note of rows that this worker pushed."""
        self._rows += rows
        if self._rows >= self._most:
            self._due.set()

    def close(self) -> None:
        """End, and land what waits, as far as no other worker does."""
        self._ending = True
        self._due.set()
        self._thread.join()
        until = time.monotonic() + PATIENCE
        while not self._turn() and time.monotonic() < until:
            time.sleep(0.05)

    def _run(self) -> None:
        while not self._ending:  # at first at once: whoever served before may have died
            self._turn()
            self._due.wait(self._every * random.uniform(0.9, 1.1))  # noqa: S311  (no two machines together)
            self._due.clear()

    def _turn(self) -> bool:
        """Land what waits; return whether it was this worker's turn."""
        from dataplat.feature_store.served import landing

        try:
            with landing(folder_of(self._store)) as mine:
                if mine:
                    self._rows = 0
                    self._flush()
                else:
                    self._counts.set(WAITING, 0)  # whoever is at it counts them
                return mine
        except (DataplatError, OSError) as error:  # the store does not answer, or there is no place for a lock
            self._failed("", error)
            return True

    def _flush(self) -> None:
        """Land what waits of each dataset; one that cannot land keeps no other from it."""
        from dataplat._features._pushed_flush import flush

        waiting = 0
        for dataset in logs(self._store):
            try:
                self._counts.add(LANDED, flush(self._store, dataset))
            except (DataplatError, OSError) as error:
                self._failed(dataset, error)
                with suppress(DataplatError, OSError):
                    waiting += self._waiting(dataset)
            else:
                self._troubles.worked(dataset, dataset)
        self._counts.set(WAITING, waiting)
        if not waiting:
            self._troubles.worked("", PUSHED)
            self._counts.set(FLUSHED_AT, time.time())

    def _waiting(self, dataset: str) -> int:
        return sum(1 for _ in islice(self._store.online.pending(LOG + dataset), 1_000_000))

    def _failed(self, dataset: str, error: Exception) -> None:
        """Say that rows wait: in the log and to whom it may concern once, as a count each time."""
        self._counts.add(FAILED_FLUSHES, 1)
        if self._troubles.failed(dataset, dataset or PUSHED, error):
            _LOG.error("rows that were pushed%s wait to be landed: %s", f" to {dataset}" if dataset else "", error)


def folder_of(store: FeatureStore) -> Path:
    """Return where workers of a lake agree on who flushes: beside this user's online stores."""
    from dataplat.feature_store.online.connect import state_folder

    return state_folder().parent / "pushed" / store.lake.id / quote(store.branch, safe="")
