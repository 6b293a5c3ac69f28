"""Rows of Spark as a version: tasks write parts, the driver commits them once.

What a task wrote that failed, or was tried twice, nothing names: a collection removes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage

from dataplat.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

    from dataplat._spark._source import Settings
    from dataplat.ingest._ingest import IngestStep
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._result import IngestResult
    from dataplat.ingest._task import ContractText, TaskPlan, TaskRows

MODES = ("append", "replace", "upsert", "delete")
ASKED = ("key", "sort", "order", "branch", "message", "on_error")
"""Options that say the same as those of an ingest."""


@dataclass
class Wrote(WriterCommitMessage):
    """What one task wrote."""

    rows: TaskRows


@dataclass(frozen=True)
class Asked:
    """What is to be done with rows, checked before a task starts; it can be sent to another process."""

    request: IngestRequest
    contract: ContractText | None
    deletes: bool

    @classmethod
    def of(cls, dataset: str, options: Mapping[str, str], *, overwrite: bool) -> Asked:
        """Check options.

        Raises:
            ConfigError: An option makes no sense.
            ContractError: There is no such contract.
        """
        from dataplat.ingest._request import request_of
        from dataplat.ingest._task import ContractText

        mode = options.get("mode") or ("replace" if overwrite else "append")
        if mode not in MODES:
            raise ConfigError(f"unknown mode {mode!r}: it is one of {', '.join(MODES)}")
        if overwrite and mode != "replace":
            raise ConfigError(
                f'.mode("overwrite") replaces all rows, and .option("mode", {mode!r}) does not: use .mode("append")'
            )
        given: dict[str, Any] = {name: options[name] for name in ASKED if options.get(name)}
        deletes = mode == "delete"
        for name in ("order", "sort", "contract"):
            if deletes and options.get(name):
                raise ConfigError(f"{name} says something of rows that come, and mode delete takes rows away")
        contract = ContractText.read(options["contract"]) if options.get("contract") else None
        return cls(request_of("spark", dataset, mode="upsert" if deletes else mode, **given), contract, deletes)  # type: ignore[arg-type]

    def full(self) -> IngestRequest:
        """Return the request with its contract, which cannot be sent to another process."""
        return self.request if self.contract is None else replace(self.request, contract=self.contract.load())


class Writer(DataSourceArrowWriter):
    """Writes rows as parts, and commits them."""

    def __init__(self, settings: Settings, asked: Asked, schema: pa.Schema) -> None:
        from dataplat.ingest._distributed import plan_tasks

        self.settings, self.asked = settings, asked
        self.plan: TaskPlan = plan_tasks(settings.open(), asked.full(), schema, asked.contract, deletes=asked.deletes)

    @classmethod
    def of(cls, settings: Settings, options: Mapping[str, str], schema: StructType, *, overwrite: bool) -> Writer:
        """Check what is asked for, before a task starts.

        Raises:
            ConfigError: An option makes no sense.
            SchemaMismatch: The rows do not fit the dataset.
        """
        from dataplat.connectors.spark.types import landed

        asked = Asked.of(settings.dataset, options, overwrite=overwrite)
        return cls(settings, asked, landed(schema))

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Wrote:
        """Write the rows of a task."""
        from pyspark import TaskContext

        from dataplat.ingest._task import write_task

        task = TaskContext.get()
        label = "spark" if task is None else f"spark[{task.partitionId()}]"
        return Wrote(write_task(self.settings.open().store, self.plan, label, iterator))

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Commit what all tasks wrote.

        Raises:
            ContractFailed: The dataset would not meet its contract; the rows wait in quarantine.
        """
        from dataplat.ingest._distributed import DistributedStep
        from dataplat.ingest._draft import carry_out
        from dataplat.ingest._progress import Meter

        tasks = [each.rows for each in messages if isinstance(each, Wrote)]
        request = self.asked.full()
        step = DistributedStep(request, Meter(), plan=self.plan, tasks=tasks, deletes=self.asked.deletes)
        result = carry_out(self.settings.open(), request.branch, request.message or "", step)
        refuse_unmet(step, result)

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Leave what was written to a collection: nothing names it."""


def refuse_unmet(step: IngestStep, result: IngestResult) -> None:
    """Say so where a contract refused all rows: Spark takes what raises nothing for written.

    Raises:
        ContractFailed: It did; the rows wait in quarantine.
    """
    from dataplat.ingest._land import failed

    if step.refused and result.report is not None:
        raise failed(result.report, step.request.into, result.quarantine or "")
