"""What a lake knows of a queue, read at one commit of a branch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dataplat.errors import CommitConflict, QueueNotFound
from dataplat.labeling.spec import QueueSpec
from dataplat.labeling.tables import Kind, dataset

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
        state = commit.dataset(dataset(name, "queue"), lake.objects.read)
        if state is None or state.version is None:
            there = ", ".join(queue_names(lake, branch)) or "none"
            raise QueueNotFound(f"there is no queue {name!r} on branch {branch}; there are: {there}")
        row = lake.version(dataset(name, "queue"), branch, commit).to_arrow()
        return cls(lake, branch, commit, QueueSpec.from_json(row["definition"][0].as_py()))

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.spec.name

    def version(self, kind: Kind) -> Version:
        """Return one of its datasets as it was at the commit."""
        name = dataset(self.name, kind)
        state = self.commit.dataset(name, self.lake.objects.read)
        if state is None or state.version is None:
            raise QueueNotFound(
                f"queue {self.name!r} has lost its dataset {name}: `dataplat version log {name}` shows when, and "
                f"`dataplat version rollback {name}@…` brings it back"
            )
        return self.lake.version(name, self.branch, self.commit)

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
    def annotations(self) -> Version:
        """The answers."""
        return self.version("annotations")


def queue_names(lake: Lake, branch: str) -> list[str]:
    """Return the names of the queues on a branch."""
    end = ".queue"
    return [each.name.removesuffix(end) for each in lake.datasets(branch) if each.name.endswith(end)]
