"""Who said what: the plain answers of a queue, read from each part of `NAME.annotations` once and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._labels._state import State
    from dataplat.lake.part import Part

_CODE: Final = 1
"""Version of the code that reads answers: to be raised when a label would be another."""
_COLUMNS: Final = ("annotation", "task", "annotator", "result", "skipped", "created_at", "updated_at")


def answers_of_queue(state: State) -> pa.Table:
    """Return the last answer of each person to each task: task, annotator, annotation, label (null where it is no plain one)."""
    import pyarrow as pa

    from dataplat._frames import to_polars
    from dataplat.labeling.consensus.votes import last_words
    from dataplat.lake.memos import Memos, computation_id

    version = state.annotations
    memos = Memos(version.objects.store)
    computation = computation_id("labels.plain", _CODE, config=state.config.id)
    parts = [_of_part(state, part, memos, computation) for part in version.parts]
    words = last_words(pa.concat_tables(parts)) if parts else to_polars(_empty())
    return words.select("task", "annotator", "annotation", label="result").to_arrow()


def votes_of_queue(state: State, *, adjudicated: bool = True, gold: bool = False) -> pa.Table:
    """Return who gave which label to which task; the adjudicator only if `adjudicated`, gold tasks only with `gold`."""
    import polars as pl

    from dataplat._frames import to_polars
    from dataplat.labeling.consensus.votes import VOTES

    known = [] if gold else state.gold
    votes = to_polars(answers_of_queue(state)).filter(pl.col("label").is_not_null(), ~pl.col("task").is_in(known))
    if not adjudicated and state.spec.adjudicator is not None:
        votes = votes.filter(pl.col("annotator") != state.spec.adjudicator)
    return votes.select(VOTES.names).to_arrow().cast(VOTES)


def _of_part(state: State, part: Part, memos: Any, computation: str) -> pa.Table:
    """Return the answers of a part, `result` being the plain label."""
    import pyarrow as pa

    from dataplat.labeling.consensus.votes import label_in
    from dataplat.lake.scan import to_table

    known = memos.get_bytes(computation, part.id, part.deletes)
    if known is not None:
        return pa.ipc.open_stream(known).read_all()
    version = state.annotations
    rows = to_table(version.objects, [part], version.manifest.schema, columns=list(_COLUMNS))
    labels = pa.array([label_in(result, state.config.answer) for result in rows["result"].to_pylist()], pa.string())
    found = rows.set_column(rows.schema.get_field_index("result"), "result", labels)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(found)
    memos.put_bytes(sink.getvalue().to_pybytes(), computation, part.id, part.deletes)
    return found


def _empty() -> pa.Table:
    from dataplat.labeling.tables import schema

    return schema("annotations").empty_table().select(list(_COLUMNS))
