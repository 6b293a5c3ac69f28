"""What people's answers come to, task by task, and joined to the rows that were asked about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dataplat._frames import to_polars
from dataplat._labels._rows import source_rows
from dataplat.errors import ConfigError, LabelError
from dataplat.labeling.task import identity_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat.ingest import IngestResult
    from dataplat.labeling.consensus import Consensus
    from dataplat.labeling.weak import WeakLabels

Method = Literal["majority", "weighted", "dawid-skene"]


@dataclass(frozen=True, slots=True)
class QueueConsensus:
    """One label for each task of a queue that somebody answered.

    Attributes:
        found: what `dataplat.labeling.consensus` found, of the tasks.
    """

    found: Consensus
    _state: State

    @property
    def table(self) -> pa.Table:
        """One row a task: `label`, `confidence` and what stands behind it (see `dataplat.labeling.consensus`)."""
        return self.found.table

    def rows(self) -> pa.Table:
        """Return one row for each row of the source that was asked about and has a label.

        Its columns: the source's key, or the columns shown where it has none; then `task`, `label`, `confidence`,
        `votes`, `tied`.
        """
        return rows_with(self._state, self.table.select(["task", "label", "confidence", "votes", "tied"]))

    def commit(self, into: str, *, contract: Any = None, message: str | None = None) -> IngestResult:
        """Make the labels of rows the dataset `into`: what it held before and holds no more goes, in one commit.

        Where nothing changed there is no new version. Its lineage names the versions of rows and answers.
        """
        message = message or f"labels of queue {self._state.name} by {self.found.method}"
        return commit_rows(self._state, self.rows(), into, contract, message)

    def to_dict(self) -> dict[str, Any]:
        """Return what was found of all tasks together as plain values."""
        return {"queue": self._state.name} | self.found.to_dict()


def rows_with(state: State, found: pa.Table) -> pa.Table:
    """Join what was found of tasks to the rows of the source that ask them: their key, or the columns shown, come first."""
    columns = list(state.source.key) or list(identity_columns(state.spec))
    joined = to_polars(source_rows(state, columns)).join(
        to_polars(found), on="task", how="inner", maintain_order="left"
    )
    if not state.source.key:
        joined = joined.unique(columns, keep="first", maintain_order=True)
    return joined.select(*columns, *found.column_names).to_arrow()


def commit_rows(state: State, rows: pa.Table, into: str, contract: Any, message: str) -> IngestResult:
    """Make what people said of rows the dataset `into`; its lineage names the versions of rows and answers."""
    version = state.source
    if not rows.num_rows:
        raise LabelError(f"no task of queue {state.name!r} has a label: pull first")
    return state.lake.ingest(
        rows,
        into=into,
        mode="replace",
        key=list(version.key) or list(identity_columns(state.spec)),
        contract=contract,
        branch=state.branch,
        message=message,
        lineage=[(version.dataset, version.id), (state.annotations.dataset, state.annotations.id)],
    )


def consensus(
    state: State, method: Method, weights: Mapping[str, float] | None, weak: WeakLabels | None = None
) -> QueueConsensus:
    """Find one label for each task."""
    import pyarrow as pa

    from dataplat._labels._gold import truth
    from dataplat._labels._votes import votes_of_queue
    from dataplat.labeling.consensus import consensus as consensus_of

    votes = votes_of_queue(state)
    known: dict[str, str] = {}
    if method == "dawid-skene" and (known := truth(state)):  # what is known of gold tells how people err
        votes = votes_of_queue(state, gold=True)
        voted = set(votes["task"].to_pylist())
        known = {task: label for task, label in known.items() if task in voted}
    if weak is not None:
        votes = pa.concat_tables([votes, weak.votes.cast(votes.schema)])
    if method == "weighted":
        weights = _weights(state, votes, weights)
    functions = () if weak is None else weak.functions  # they saw every task: their silence says something, too
    found = consensus_of(
        votes,
        method=method,
        weights=weights,
        truth=known or None,
        adjudicator=state.spec.adjudicator,
        abstaining=functions,
    )
    return QueueConsensus(_without(found, known), state)


def _without(found: Consensus, gold: Mapping[str, str]) -> Consensus:
    """Return what was found of all tasks but the gold ones."""
    if not gold:
        return found
    import dataclasses

    asked = ~to_polars(found.table.select(["task"]))["task"].is_in(list(gold))
    chances = None if found.probabilities is None else found.probabilities[asked.to_numpy()]
    return dataclasses.replace(found, table=found.table.filter(asked.to_arrow()), probabilities=chances)


def _weights(state: State, votes: pa.Table, given: Mapping[str, float] | None) -> dict[str, float]:
    """Return what each annotator counts: as given, or their share of right gold tasks, where they have none the mean."""
    from dataplat._labels._gold import judged

    found = dict(given or judged(state).scores)
    if not found:
        raise ConfigError(
            f"nothing to weigh the votes of queue {state.name!r} by: give weights, or mix gold tasks in (gold=)"
        )
    mean = sum(found.values()) / len(found)
    people = [state.spec.adjudicator] if given else votes["annotator"].unique().to_pylist()
    return {name: mean for name in people if name is not None} | found
