"""What many people's answers come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Method: TypeAlias = Literal["majority", "weighted", "dawid-skene"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Consensus:
    """One label for each task, and what stands behind it.

    Attributes:
        method: how it was found.
        table: one row a task, in their order. `label`; `confidence`, from 0 to 1: the share of votes or of their
            weight, or how likely the label is by the model; `votes`, how many; `annotators`, whose; `tied`, whether
            another label is as good (the first in the order of labels was taken); `entropy`, how far votes disagree,
            in bits, 0 where they do not; `decided`, by what: "votes", "adjudicator" or "truth".
        annotators: one row each: `votes`, `agreement` (the share of them that are the label of the task), `accuracy`
            (as the model has it, else null), `weight` (of methods that weigh, else null).
        confusion: of Dawid and Skene's method how everybody errs: `annotator`, `truth`, `label`, and `probability`, the
            chance that they give the label (null: that they abstain, of those who saw every task) where the truth is that; 0
            is left out. Else None.
        labels: the labels, in their order.
        probabilities: of that method how likely each label is, tasks × labels. Else None.
        iterations: how many turns it took; 0 for the other methods.
        converged: whether it ended because nothing changed any more.
    """

    method: Method
    table: pa.Table
    annotators: pa.Table
    labels: pa.Array
    confusion: pa.Table | None = None
    probabilities: np.ndarray[Any, Any] | None = field(default=None)
    iterations: int = 0
    converged: bool = True

    @property
    def tied(self) -> int:
        """How many tasks are tied."""
        import pyarrow.compute as pc

        return pc.sum(self.table["tied"]).as_py() or 0

    @property
    def summary(self) -> str:
        """What was found, as one line."""
        tasks, people = self.table.num_rows, self.annotators.num_rows
        told = f"{tasks:,} tasks, {people:,} annotators, by {self.method}: {self.tied:,} tied"
        if self.method != "dawid-skene":
            return told
        return f"{told}; {self.iterations} iterations{'' if self.converged else ', not converged'}"

    def to_dict(self) -> dict[str, Any]:
        """Return what is found of all tasks together as plain values for JSON; the table holds each."""
        return {
            "method": self.method,
            "tasks": self.table.num_rows,
            "tied": self.tied,
            "labels": self.labels.to_pylist(),
            "iterations": self.iterations,
            "converged": self.converged,
            "annotators": self.annotators.to_pylist(),
        }

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"<Consensus {self.summary}>"
