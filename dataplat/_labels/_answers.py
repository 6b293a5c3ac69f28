"""Answers as they come, compared with those that are held; new ones wait in files until they are committed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dataplat.labeling.tables import Kind, schema
from dataplat.lake.stores import explained

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._labels._projects import Placement, Placements
    from dataplat._version import Version
    from dataplat.labeling.answers import Answers


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
    """What a pull has read so far. What is read twice, because it changed meanwhile, counts as it was read last.

    Attributes:
        copies: answers about copies of a task.
        unread: items of results that could not be laid flat.
        gone: ids of answers that were taken back.
        notes: what is to be told.
    """

    def __init__(self, held: Held, known: frozenset[str]) -> None:
        self.copies = 0
        self.unread = 0
        self.strange = 0
        self.gone: list[str] = []
        self._held = held
        self._known = known
        self._folder = tempfile.TemporaryDirectory(prefix="dataplat-labels-")
        self._writers: dict[Kind, pa.ipc.RecordBatchFileWriter] = {}
        self._files: dict[Kind, Path] = {}
        self._written: dict[Kind, list[int]] = {}  # the turn in which each batch of a file was written
        self._turn = 0
        self._news: dict[str, int] = {}  # answer that differs from what is held → the turn in which it came last
        self._again = False
        self._project = -1
        self._by_task: dict[str, set[str]] = {}  # task → its answers that came, of the project at hand
        self._seen: set[int] = set()
        self._whole_tasks: set[str] = set()
        self._by_id: dict[int, Placement] = {}
        self._copies: set[int] = set()

    @property
    def counts(self) -> tuple[int, int, int]:
        """New, changed and deleted answers."""
        changed = sum(annotation in self._held.digests for annotation in self._news)
        return len(self._news) - changed, changed, len(self.gone)

    @property
    def any(self) -> bool:
        """Whether anything differs from what is held."""
        return bool(self._news or self.gone)

    @property
    def stale(self) -> list[str]:
        """Ids of answers whose regions are to be replaced."""
        return [*self.gone, *(annotation for annotation in self._news if annotation in self._held.digests)]

    @property
    def notes(self) -> list[str]:
        """What is to be told of all that was read."""
        if not self.strange:
            return []
        return [f"{self.strange:,} answers are about tasks that are not of this queue, and were left where they are"]

    def begin(self, project: int, placements: Placements) -> None:
        """Begin with another project."""
        self._project = project
        self._by_task, self._seen, self._whole_tasks = {}, set(), set()
        self._by_id = {each.id: each for each in placements.of(project)}
        self._copies = {copy for each in placements if each.there for copy in each.copies}

    def take(self, answers: Answers) -> None:
        """Take a batch of answers: keep those that differ from what is held, and note which tasks were seen."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self._turn += 1
        annotations = _of_known(answers.annotations, self._known)
        self._drop_seen(answers)
        self.strange += answers.annotations.num_rows - annotations.num_rows + sum(answers.foreign.values())
        self.unread += len(answers.unflat)
        fresh: list[bool] = []
        for batch in annotations.to_batches():
            rows = zip(batch["annotation"].to_pylist(), batch["task"].to_pylist(), _digests(batch), strict=True)
            for annotation, task, digest in rows:
                self._by_task.setdefault(task, set()).add(annotation)
                fresh.append(self._held.digests.get(annotation) != digest.tobytes())
                if fresh[-1]:
                    self._news[annotation] = self._turn
        if any(fresh):
            news = annotations.filter(pa.array(fresh))
            self._write("annotations", news)
            wanted = news["annotation"].combine_chunks()
            for kind, table in (("regions", answers.regions), ("relations", answers.relations)):
                self._write(kind, table.filter(pc.is_in(table["annotation"], wanted)))  # type: ignore[arg-type]
        self._see(answers, annotations)

    def _drop_seen(self, answers: Answers) -> None:
        """Forget the answers of tasks that come a second time: they changed while they were read."""
        for id_ in self._seen.intersection(answers.seen):
            placement = self._by_id.get(id_)
            if placement is None or placement.copies:  # its answers came in part with another task
                continue
            for annotation in self._by_task.pop(placement.task, ()):
                self._news.pop(annotation, None)
        self._again = self._again or not self._seen.isdisjoint(answers.seen)
        self._seen.update(answers.seen)

    def end(self, placements: Placements, *, whole: bool) -> None:
        """Find answers that were taken back: those of the tasks that were read (`whole`: of all) that did not come.

        Of a task that was deleted on the server the answers stay.
        """
        gone = {each.task for each in placements if each.project == self._project and not each.there}
        taken_back: set[str] = set()
        for annotation, task in self._held.by_project.get(self._project, {}).items():
            if annotation in self._by_task.get(task, ()) or task in gone:
                continue
            if whole or task in self._whole_tasks:
                self.gone.append(annotation)
                taken_back.add(task)
        for placement in self._by_id.values():
            if placement.task in taken_back and not self._by_task.get(placement.task):
                placement.state, placement.news = "open", True

    def reader(self, kind: Kind) -> pa.RecordBatchReader | None:
        """Return what came of one dataset, to be read once; None where nothing did."""
        import pyarrow as pa

        writer = self._writers.pop(kind, None)
        if writer is None:
            return None
        with self._room():
            writer.close()
        file = pa.ipc.open_file(pa.memory_map(str(self._files[kind])))
        batches = (self._last(file.get_batch(number), turn) for number, turn in enumerate(self._written[kind]))
        return pa.RecordBatchReader.from_batches(schema(kind), batches)

    def _last(self, batch: pa.RecordBatch, turn: int) -> pa.RecordBatch:
        """Return the rows of a batch that did not come again later."""
        import pyarrow as pa

        if not self._again:
            return batch
        return batch.filter(pa.array([self._news.get(each) == turn for each in batch["annotation"].to_pylist()]))

    def close(self) -> None:
        """Let the files go."""
        for writer in self._writers.values():
            with suppress(OSError):  # the file goes anyway
                writer.close()
        self._folder.cleanup()

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
        with self._room():
            if kind not in self._writers:
                self._files[kind] = Path(self._folder.name) / kind
                options = pa.ipc.IpcWriteOptions(compression="zstd")
                self._writers[kind] = pa.ipc.new_file(self._files[kind], schema(kind), options=options)
            for batch in table.select(schema(kind).names).cast(schema(kind)).to_batches():
                self._writers[kind].write_batch(batch)
                self._written.setdefault(kind, []).append(self._turn)

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Say plainly what is wrong where the files cannot be written."""
        try:
            yield
        except OSError as error:
            where = self._folder.name
            raise explained(error, f"keep the answers that came in {where} (TMPDIR says where)") from error


def _of_known(annotations: pa.Table, known: frozenset[str]) -> pa.Table:
    import pyarrow as pa

    ours = [task in known for task in annotations["task"].to_pylist()]
    return annotations if all(ours) else annotations.filter(pa.array(ours))


def _digests(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    import numpy as np

    from dataplat.lake.content_id import row_digests

    return np.ascontiguousarray(row_digests(batch))
