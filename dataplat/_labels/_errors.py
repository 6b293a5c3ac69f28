"""Labels of a dataset that are probably wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dataplat.errors import BadColumn

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.labeling.errors_in import LabelErrors

PREFIX = "p_"
"""What the names of columns of probabilities begin with, as orders by uncertainty read them."""


def label_errors(
    lake: Lake,
    reference: str,
    *,
    label: str = "label",
    predictions: str | None = None,
    probabilities: Mapping[str, str] | None = None,
) -> LabelErrors:
    """Return the labels of a version that are probably wrong, by probabilities of a model; see `errors_in`.

    Args:
        lake: the lake.
        reference: rows with their labels.
        label: the column of the label.
        predictions: the reference of rows with probabilities, under the same key; None: they are columns beside labels.
        probabilities: the column that holds the probability of each label, by label; None: `p_LABEL`, or columns that
            are called as labels are.
    """
    from dataplat.labeling.errors_in import errors_in

    labelled = lake[reference]
    predicted = None if predictions is None else lake[predictions]
    key = _key(labelled, predicted)
    return errors_in(
        labelled.to_arrow(),
        label=label,
        predictions=None if predicted is None else predicted.to_arrow(),
        probabilities=probabilities or _named(labelled if predicted is None else predicted),
        key=key,
    )


def _key(labelled: Version, predicted: Version | None) -> tuple[str, ...]:
    """Return the columns by which rows are named, and joined."""
    if predicted is None:
        return labelled.key
    key = labelled.key or predicted.key
    if not key or not set(key) <= set(labelled.schema.names) & set(predicted.schema.names):
        raise BadColumn(
            f"{predicted.dataset} cannot be joined to {labelled.dataset}: both need the columns of the key of one of them "
            f"({', '.join(key) or 'neither has one'})"
        )
    return key


def _named(version: Version) -> dict[str, str] | None:
    """Return the columns `p_LABEL`, by label; None where there are none."""
    found = {name.removeprefix(PREFIX): name for name in version.schema.names if name.startswith(PREFIX)}
    return found if len(found) > 1 else None
