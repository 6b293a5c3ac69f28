"""Transactions: changes of several datasets that become one commit, or nothing does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack

from dataplat.errors import ConfigError
from dataplat.ingest._draft import Run

if TYPE_CHECKING:
    from types import TracebackType

    import polars as pl

    from dataplat._evolve import EvolveOptions
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest import IngestResult
    from dataplat.ingest._ingest import IngestStep
    from dataplat.ingest._progress import Listener
    from dataplat.ingest._request import IngestOptions
    from dataplat.versioning.commit import Commit


class Transaction:
    """Changes that are planned on one head of a branch and committed together; get one from `Lake.transaction`.

    All is planned on the branch as it was at the beginning of the block. Until its end nobody sees anything, and if
    the block raises nothing happens. A second change of a dataset starts from what the first would make of it. Where
    the branch moved meanwhile and a change does not hold any more, all of them are done anew, if their inputs can be
    read again.

    Attributes:
        commit: after the block, the commit; None where there was nothing to commit.
        results: after the block, what each change did, in order.
    """

    def __init__(self, lake: Lake, branch: str, message: str) -> None:
        self.branch = branch
        self.message = message
        self.commit: Commit | None = None
        self.results: tuple[Any, ...] = ()
        self._lake = lake
        self._run: Run | None = None

    def __enter__(self) -> Self:
        self._run = Run.begin(self._lake, self.branch, self.message)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run, self._run = self._begun, None
        try:
            if error is None:
                self.commit = run.commit()
                self.results = tuple(run.results)
        finally:
            run.close()

    def __getitem__(self, dataset: str) -> Version:
        """Return a dataset as the transaction would leave it."""
        return self._begun.draft.version(dataset)

    def ingest(
        self, source: Any, into: str, *, progress: Listener | None = None, **options: Unpack[IngestOptions]
    ) -> IngestResult:
        """Land rows, as `Lake.ingest` does; the result has no commit yet (see `results`).

        Raises:
            ContractFailed: The input as a whole does not meet its contract: the transaction is over.
        """
        from dataplat.ingest._ingest import IngestStep
        from dataplat.ingest._land import failed
        from dataplat.ingest._progress import Meter
        from dataplat.ingest._request import request_of

        for name in ("branch", "message"):
            if options.get(name) is not None:
                raise ConfigError(f"{name} is one for the whole transaction: lake.transaction({name}=…)")
        request = replace(request_of(source, into, **options), branch=self.branch, message=self.message or None)
        step = IngestStep(request, Meter(progress))
        result: IngestResult = self._begun.take(step)
        if step.refused and result.report is not None:
            raise failed(result.report, into, result.quarantine or "")
        return replace(result, version=self[into]) if step.lands else result

    def land(self, step: IngestStep) -> IngestResult:
        """Land rows that tasks of an engine wrote: what is planned here, and was written elsewhere."""
        result: IngestResult = self._begun.take(step)
        return replace(result, version=self[step.request.into]) if step.lands else result

    def delete(self, dataset: str, where: str | pl.Expr) -> IngestResult:
        """Delete the rows that `where` selects."""
        from dataplat._changes import DeleteStep

        result: IngestResult = self._begun.take(DeleteStep(dataset, where))
        return replace(result, version=self[dataset])

    def rollback(self, reference: str) -> None:
        """Make an earlier version of a dataset the newest again."""
        from dataplat._changes import rollback_step

        self._begun.take(rollback_step(reference))

    def drop(self, dataset: str) -> None:
        """Take a dataset off the branch."""
        from dataplat._changes import drop_step

        self._begun.take(drop_step(dataset))

    def rename(self, dataset: str, to: str) -> None:
        """Give a dataset another name."""
        from dataplat._changes import rename_step

        self._begun.take(rename_step(dataset, to))

    def describe(self, dataset: str, text: str) -> None:
        """Say in words what a dataset is."""
        from dataplat._changes import describe_step

        self._begun.take(describe_step(dataset, text))

    def evolve(self, dataset: str, **changes: Unpack[EvolveOptions]) -> None:
        """Change the columns of a dataset, as `Lake.evolve` does."""
        from dataplat._changes import evolve_step

        self._begun.take(evolve_step(dataset, **changes))

    @property
    def _begun(self) -> Run:
        if self._run is None:
            raise ConfigError("a transaction is a block: with lake.transaction() as tx: …")
        return self._run
