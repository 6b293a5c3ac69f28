"""What a lake knows of a queue, read at one commit of a branch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dataplat._heads import version_at
from dataplat.errors import CommitConflict, LabelError, QueueNotFound
from dataplat.labeling.spec import QueueSpec
from dataplat.labeling.tables import Kind, dataset
from dataplat.versioning.references import at_branch

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._lake import Lake
    from dataplat._transaction import Transaction
    from dataplat._version import Version
    from dataplat.labeling.config import LabelConfig
    from dataplat.versioning.commit import Commit


@dataclass(frozen=True)
class State:
    """A queue at one commit; tables are read when they are asked for."""

    lake: Lake
    branch: str
    commit: Commit
    spec: QueueSpec

    @classmethod
    def at_head(cls, lake: Lake, name: str, branch: str) -> State:
        """Read the definition of a queue; raise `QueueNotFound`."""
        commit = lake.refs.head(branch).commit
        found = version_at(lake, dataset(name, "queue"), branch, commit)
        if found is None:
            there = ", ".join(queue_names(lake, branch)) or "none"
            raise QueueNotFound(f"there is no queue {name!r} on branch {branch}; there are: {there}")
        return cls(lake, branch, commit, QueueSpec.from_json(found.to_arrow()["definition"][0].as_py()))

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.spec.name

    def version(self, kind: Kind) -> Version:
        """Return one of its datasets as it was at the commit."""
        name = dataset(self.name, kind)
        found = version_at(self.lake, name, self.branch, self.commit)
        if found is None:
            raise QueueNotFound(
                f"queue {self.name!r} has lost its dataset {name}: `dataplat version log {name}` shows when, and "
                f"`dataplat version rollback {name}@…` brings it back"
            )
        return found

    @cached_property
    def source(self) -> Version:
        """What is asked about, as it was when it was first looked at."""
        return referred(self.lake, self.spec.source, self.branch)

    def referred(self, reference: str) -> Version:
        """Return what a reference names: on the branch of the queue, and `@v3` of its source."""
        return referred(self.lake, reference, self.branch, self.source.dataset)

    def check_open(self) -> None:
        """Raise `LabelError` where the queue is closed."""
        if self.spec.closed:
            raise LabelError(
                f"queue {self.name!r} is closed; open it again with `dataplat label queue set {self.name} --open`"
            )

    def check_unchanged(self, tx: Transaction, *kinds: Kind) -> None:
        """Raise `CommitConflict` where one of its datasets is not what it was: somebody else was at it meanwhile."""
        for kind in kinds:
            if tx[dataset(self.name, kind)].id != self.version(kind).id:
                raise CommitConflict(f"{dataset(self.name, kind)} was changed meanwhile")

    @cached_property
    def config(self) -> LabelConfig:
        """The label config."""
        from dataplat.labeling.config import LabelConfig

        return LabelConfig.from_xml(self.spec.config)

    @cached_property
    def tasks(self) -> pa.Table:
        """All tasks, in the order of the queue."""
        return self.version("tasks").to_arrow().sort_by("position")

    @cached_property
    def placements(self) -> pa.Table:
        """All placements."""
        return self.version("placements").to_arrow()

    @property
    def gold(self) -> list[str]:
        """The tasks whose answer is known."""
        rows = zip(self.tasks["task"].to_pylist(), self.tasks["stream"].to_pylist(), strict=True)
        return [task for task, stream in rows if stream == "gold"]

    @property
    def annotations(self) -> Version:
        """The answers."""
        return self.version("annotations")


def referred(lake: Lake, reference: str, branch: str, dataset: str = "") -> Version:
    """Return what a reference names, which may leave out the branch, or the dataset (`@v3`)."""
    return lake[f"{dataset}{reference}" if reference.startswith("@") else at_branch(reference, branch)]


def queue_names(lake: Lake, branch: str) -> list[str]:
    """Return the names of the queues on a branch."""
    end = ".queue"
    return [each.name.removesuffix(end) for each in lake.datasets(branch) if each.name.endswith(end)]
