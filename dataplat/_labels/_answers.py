"""Answers as they come, compared with those that are held; new ones wait in files until they are committed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dataplat.labeling.tables import Kind, schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._labels._projects import Placement, Placements
    from dataplat._version import Version
    from dataplat.labeling.answers import Answers

_KINDS: Final[tuple[Kind, ...]] = ("annotations", "regions", "relations")


class Held:
    """The answers that a lake has: by id, what they hold in two words, and whose they are."""

    def __init__(self, version: Version) -> None:
        self.digests: dict[str, bytes] = {}
        self.by_project: dict[int, dict[str, str]] = {}  # project → annotation → task
        for batch in version.batches():
            rows = zip(
                batch["annotation"].to_pylist(),
                batch["project"].to_pylist(),
                batch["task"].to_pylist(),
                _digests(batch),
                strict=True,
            )
            for annotation, project, task, digest in rows:
                self.digests[annotation] = digest.tobytes()
                self.by_project.setdefault(project, {})[annotation] = task


class Answered:
    """What a pull has read so far.

    Attributes:
        copies: answers about copies of a task.
        unread: items of results that could not be laid flat.
        gone: ids of answers that were taken back.
        stale: ids of answers whose regions are to be replaced.
        notes: what is to be told.
    """

    def __init__(self, held: Held, known: frozenset[str]) -> None:
        self.copies = 0
        self.unread = 0
        self.strange = 0
        self.gone: list[str] = []
        self.stale: list[str] = []
        self._held = held
        self._known = known
        self._new = self._changed = 0
        self._folder = tempfile.TemporaryDirectory(prefix="dataplat-labels-")
        self._writers: dict[Kind, pa.ipc.RecordBatchFileWriter] = {}
        self._files: dict[Kind, Path] = {}
        self._project = -1
        self._came: set[str] = set()
        self._whole_tasks: set[str] = set()
        self._by_id: dict[int, Placement] = {}
        self._copies: set[int] = set()

    @property
    def counts(self) -> tuple[int, int, int]:
        """New, changed and deleted answers."""
        return self._new, self._changed, len(self.gone)

    @property
    def any(self) -> bool:
        """Whether anything differs from what is held."""
        return any(self.counts)

    @property
    def notes(self) -> list[str]:
        """What is to be told of all that was read."""
        if not self.strange:
            return []
        return [f"{self.strange:,} answers are about tasks that are not of this queue, and were left where they are"]

    def begin(self, project: int, placements: Placements) -> None:
        """Begin with another project."""
        self._project = project
        self._came, self._whole_tasks = set(), set()
        there = placements.of(project)
        self._by_id = {each.id: each for each in there}
        self._copies = {copy for each in there for copy in each.copies}

    def take(self, answers: Answers) -> None:
        """Take a batch of answers: keep those that differ from what is held, and note which tasks were seen."""
        import pyarrow as pa
        import pyarrow.compute as pc

        annotations = _of_known(answers.annotations, self._known)
        self.strange += answers.annotations.num_rows - annotations.num_rows
        self.unread += len(answers.unflat)
        self.strange += sum(answers.foreign.values())
        fresh: list[bool] = []
        for batch in annotations.to_batches():
            digests = _digests(batch)
            for annotation, digest in zip(batch["annotation"].to_pylist(), digests, strict=True):
                self._came.add(annotation)
                before = self._held.digests.get(annotation)
                fresh.append(before != digest.tobytes())
                if before is None:
                    self._new += 1
                elif fresh[-1]:
                    self._changed += 1
                    self.stale.append(annotation)
        if any(fresh):
            news = annotations.filter(pa.array(fresh))
            self._write("annotations", news)
            wanted = news["annotation"].combine_chunks()
            for kind, table in (("regions", answers.regions), ("relations", answers.relations)):
                self._write(kind, table.filter(pc.is_in(table["annotation"], wanted)))  # type: ignore[arg-type]
        self._see(answers, annotations)

    def end(self, placements: Placements, *, whole: bool) -> None:
        """Find answers that were taken back: those of the tasks that were read (`whole`: of all) that did not come.

        Of a task that was deleted on the server the answers stay.
        """
        gone = {each.task for each in placements if each.project == self._project and not each.there}
        taken_back: set[str] = set()
        for annotation, task in self._held.by_project.get(self._project, {}).items():
            if annotation in self._came or task in gone:
                continue
            if whole or task in self._whole_tasks:
                self.gone.append(annotation)
                self.stale.append(annotation)
                taken_back.add(task)
        kept = self._tasks_that_came if taken_back else set()
        for placement in self._by_id.values():
            if placement.task in taken_back - kept:
                placement.state, placement.news = "open", True

    def reader(self, kind: Kind) -> pa.RecordBatchReader | None:
        """Return what came of one dataset, to be read once; None where nothing did."""
        import pyarrow as pa

        writer = self._writers.pop(kind, None)
        if writer is None:
            return None
        writer.close()
        file = pa.ipc.open_file(pa.memory_map(str(self._files[kind])))
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
        return pa.RecordBatchReader.from_batches(schema(kind), batches)

    def close(self) -> None:
        """Let the files go."""
        for writer in self._writers.values():
            writer.close()
        self._folder.cleanup()

    @property
    def _tasks_that_came(self) -> set[str]:
        held = self._held.by_project.get(self._project, {})
        return {held[annotation] for annotation in self._came if annotation in held}

    def _see(self, answers: Answers, annotations: pa.Table) -> None:
        """Note of each task that was read when it was changed, and whether it is answered."""
        states: dict[str, str] = {}
        for task, skipped in zip(annotations["task"].to_pylist(), annotations["skipped"].to_pylist(), strict=True):
            if not skipped or task not in states:
                states[task] = "skipped" if skipped else "answered"
        ids = set(answers.seen)
        for id_, (task, updated, count) in answers.seen.items():
            placement = self._by_id.get(id_)
            if placement is None:
                self.copies += count if id_ in self._copies else 0
                continue
            if ids.issuperset(placement.copies):
                self._whole_tasks.add(task)
            state = states.get(task, "open")
            if state == placement.state == "open":
                continue  # when a task was looked at is no news; from where to read on, answers say
            if (placement.state, placement.seen) != (state, updated):
                placement.state, placement.seen, placement.news = state, updated, True

    def _write(self, kind: Kind, table: pa.Table) -> None:
        import pyarrow as pa

        if not table.num_rows:
            return
        if kind not in self._writers:
            self._files[kind] = Path(self._folder.name) / kind
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            self._writers[kind] = pa.ipc.new_file(self._files[kind], schema(kind), options=options)
        self._writers[kind].write_table(table.select(schema(kind).names).cast(schema(kind)))


def _of_known(annotations: pa.Table, known: frozenset[str]) -> pa.Table:
    import pyarrow as pa

    ours = [task in known for task in annotations["task"].to_pylist()]
    return annotations if all(ours) else annotations.filter(pa.array(ours))


def _digests(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    import numpy as np

    from dataplat.lake.content_id import row_digests

    return np.ascontiguousarray(row_digests(batch))
