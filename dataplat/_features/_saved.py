"""Training sets as versions of datasets, with the note of which is which: one commit, of several sets, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataplat._features._lineage import SETS, training_sets
from dataplat._heads import anew

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._set import TrainingSet
    from dataplat._features._store import FeatureStore
    from dataplat.ingest import IngestResult


def save(
    store: FeatureStore, sets: Mapping[str, TrainingSet], message: str | None = None, contract: Any = None
) -> dict[str, IngestResult]:
    """Make each set a version of the dataset that it is named by: all of them and their notes, or nothing.

    Raises:
        ContractFailed: One does not meet the contract; none is landed.
    """

    def attempt() -> dict[str, IngestResult]:
        with store.lake.transaction(store.branch, message or _message(sets)) as tx:
            for into, made in sets.items():
                made.land(tx, into, mode="replace", lineage=_lineage(made), contract=contract)
            known = {(each["id"], each["dataset"], each["dataset_version"]) for each in training_sets(store)}
            named = [(made, into, tx[into].id) for into, made in sets.items()]
            notes = [_note(*each) for each in named if (each[0].id, *each[1:]) not in known]
            if notes:
                tx.ingest(_once(notes), into=SETS, mode="upsert", key=["id", "dataset", "dataset_version"])
        return dict(zip(sets, tx.results, strict=False))  # what else there is is of the notes

    return anew(attempt)


def _message(sets: Mapping[str, TrainingSet]) -> str:
    first, *others = sets.values()
    named = f"{first.recipe.service.reference}, closure {first.closure[:12]}"
    if not others:
        return f"training set of {named}, id {first.id[:12]}"
    ids = ", ".join(f"{into} {made.id[:12]}" for into, made in sets.items())
    return f"training sets of {named}: {ids}"


def _lineage(made: TrainingSet) -> list[tuple[str, str]]:
    """Return (dataset, version id) of all that a set was made of."""
    recipe = made.recipe
    found = {*recipe.lineage, *recipe.spine.pins}
    if recipe.labels is not None:
        found.add((recipe.labels.dataset, recipe.labels.id))
    return sorted(found)


def _note(made: TrainingSet, dataset: str, version: str) -> pa.Table:
    """Return the row that says which version of a dataset is which training set."""
    import pyarrow as pa

    service = made.recipe.service
    return pa.table(
        {
            "id": [made.id],
            "service": [service.name],
            "version": pa.array([service.version], pa.int64()),
            "closure": [made.closure],
            "dataset": [dataset],
            "dataset_version": [version],
            "pins": [json.dumps(sorted(made.pins.items()))],
            "rows": pa.array([len(made)], pa.int64()),
        }
    )


def _once(notes: list[pa.Table]) -> pa.RecordBatchReader:
    """Return notes that are read once: where the branch moved, what they say of versions is found anew, not said again."""
    import pyarrow as pa

    table = pa.concat_tables(notes)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
