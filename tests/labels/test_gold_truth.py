"""What is known of gold tasks tells how people err."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pyarrow as pa

from dataplat._labels._state import State
from dataplat._lake import Lake
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.testing.label_server import FakeLabelStudio


def test_gold_tells_who_is_wrong(new_lake: Callable[[], Lake]) -> None:
    """Two who are always wrong outvote one who is right, until gold tells which of them is."""
    lake = new_lake()
    lake.ingest(pa.table({"id": range(40), "text": [f"row {n}" for n in range(40)]}), "rows", key=["id"])
    known = pa.table({"text": [f"gold {n}" for n in range(20)], "label": ["yes", "no"] * 10})
    lake.ingest(known, "known", key=["text"])
    answers = {f"row {n}": "yes" if n % 2 else "no" for n in range(40)}
    answers |= dict(zip(known["text"].to_pylist(), known["label"].to_pylist(), strict=True))
    other = {"yes": "no", "no": "yes"}
    with FakeLabelStudio() as site, closing(LabelStudioServer(site.url, site.token)) as server:
        ids = {name: site.add_user(name) for name in ("right", "wrong", "wrong2")}
        queue = lake.label_queue(
            "q", "rows", show=["text"], choices=["yes", "no"], overlap=3, annotators=list(ids), gold="known",
            gold_every=2, pause_below=0.0, server=server,
        )  # fmt: skip
        queue.push()
        state = State.at_head(lake, "q", "main")
        texts = dict(zip(state.tasks["task"].to_pylist(), state.tasks["data"].to_pylist(), strict=True))
        for placed in state.placements.to_pylist():
            said = answers[texts[placed["task"]].split('"')[3]]
            said = said if placed["annotator"] == "right" else other[said]
            site.answer(placed["id"], ids[placed["annotator"]], state.config.result_of(said))
        queue.pull()
        rows = {row["id"]: row["label"] for row in queue.consensus("dawid-skene").rows().to_pylist()}
        most = {row["id"]: row["label"] for row in queue.consensus().rows().to_pylist()}
    truth = {n: answers[f"row {n}"] for n in range(40)}
    assert rows == truth
    assert most == {n: other[label] for n, label in truth.items()}
