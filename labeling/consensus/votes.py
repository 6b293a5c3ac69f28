"""What counts as a vote among the answers of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
import pyarrow as pa

from dataplat.errors import LabelConfigError
from dataplat.labeling._plain_answers import PLAIN, label_of
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    from dataplat.labeling.config import Control, LabelConfig

VOTES = pa.schema([("task", pa.string()), ("annotator", pa.string()), ("label", pa.string())])
"""The columns of a table of votes; a column `weight` may come on top."""

_ITEMS: Final = msgspec.json.Decoder(list[dict[str, Any]])


def votes_of(annotations: pa.Table, config: LabelConfig, control: str | None = None) -> pa.Table:
    """Return the votes that annotations are: who says what of which task.

    Of several answers of one person to one task the last one counts (`last_words`), also where it is a skip: what was
    said before is then withdrawn. Skips, and answers that are no plain label, are no votes.

    Args:
        annotations: the annotations of a queue (`dataplat.labeling.tables`).
        config: the label config, which says what the plain label of a result is.
        control: the control that is voted on, by name; None: the first that asks about the task as a whole.

    Returns:
        Columns `task`, `annotator`, `label`, in the order of task and annotator whatever the order of answers is.

    Raises:
        LabelConfigError: The config has no such control, or it is none that takes a plain answer.
    """
    asked = config.answer if control is None else _control(config, control)
    last = last_words(annotations)
    labels = pa.array([label_in(result, asked) for result in last["result"]], pa.string())
    votes = pa.table([last["task"].to_arrow(), last["annotator"].to_arrow(), labels], names=VOTES.names).cast(VOTES)
    return votes.filter(votes["label"].is_valid())


def last_words(annotations: pa.Table) -> pl.DataFrame:
    """Return the last answer of every person to every task, in that order; if it is a skip, none.

    The last is so by `updated_at`, then `created_at`, then the id. Nobody knows whether answers of unknown people are
    of the same one, so each is taken to be of somebody else, `unknown (ID)`.
    """
    columns = ["annotation", "task", "annotator", "result", "skipped", "created_at", "updated_at"]
    frame = pl.DataFrame(pl.from_arrow(annotations.select(columns)))
    unknown = pl.concat_str(pl.lit("unknown ("), "annotation", pl.lit(")"))
    return (
        frame.with_columns(pl.col("annotator").fill_null(unknown))
        .sort("task", "annotator", "updated_at", "created_at", "annotation", nulls_last=False)
        .unique(["task", "annotator"], keep="last", maintain_order=True)
        .filter(~pl.col("skipped").fill_null(value=False))
    )


def _control(config: LabelConfig, name: str) -> Control:
    plain = {each.name: each for each in config.controls if each.tag in PLAIN}
    if name not in plain:
        raise LabelConfigError(
            f"the config has no control {name!r} that takes plain answers{did_you_mean(name, plain)}"
        )
    return plain[name]


def label_in(result: str | None, control: Control | None) -> str | None:
    """Return the plain label of a result; None where there is none, or it cannot be read."""
    try:
        return label_of(control, _ITEMS.decode(result or "[]"))
    except msgspec.DecodeError:
        return None
