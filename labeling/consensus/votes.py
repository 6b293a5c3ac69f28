"""What counts as a vote among the answers of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from dataplat.labeling.config import LabelConfig

VOTES = pa.schema([("task", pa.string()), ("annotator", pa.string()), ("label", pa.string())])
"""The columns of a table of votes; a column `weight` may come on top."""


def votes_of(annotations: pa.Table, config: LabelConfig) -> pa.Table:
    """Return the votes that annotations are: who says what of which task.

    Of several answers of one person to one task the last one counts (by `updated_at`, then `created_at`, then id),
    also where it is a skip: what was said before is then withdrawn. Skips, and answers that are no single label, are
    no votes. Nobody knows whether answers of unknown people are of the same one, so each is a vote of its own.

    Args:
        annotations: the annotations of a queue (`dataplat.labeling.tables`).
        config: the label config, which says what the plain label of a result is.

    Returns:
        Columns `task`, `annotator`, `label`, in the order of task and annotator whatever the order of answers is.
    """
    last = _last_words(annotations)
    labels = pa.array([_label(result, config) for result in last["result"]], pa.string())
    votes = pa.table([last["task"].to_arrow(), last["annotator"].to_arrow(), labels], names=VOTES.names).cast(VOTES)
    return votes.filter(votes["label"].is_valid())


def _last_words(annotations: pa.Table) -> pl.DataFrame:
    """Return the last answer of every person to every task, skips left out."""
    columns = ["annotation", "task", "annotator", "result", "skipped", "created_at", "updated_at"]
    frame = pl.DataFrame(pl.from_arrow(annotations.select(columns)))
    unknown = pl.concat_str(pl.lit("unknown ("), "annotation", pl.lit(")"))
    return (
        frame.with_columns(pl.col("annotator").fill_null(unknown))
        .sort("task", "annotator", "updated_at", "created_at", "annotation", nulls_last=False)
        .unique(["task", "annotator"], keep="last", maintain_order=True)
        .filter(~pl.col("skipped").fill_null(value=False))
    )


def _label(result: str | None, config: LabelConfig) -> str | None:
    """Return the plain label of a result; None where there is none, or it cannot be read."""
    try:
        items: Any = msgspec.json.decode(result or "[]")
    except msgspec.DecodeError:
        return None
    return config.label_of(items) if isinstance(items, list) and items else None
