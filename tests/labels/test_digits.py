"""A whole round trip on real pictures: scikit-learn's 1,797 digits go out, three people answer, the labels come home."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest

from dataplat._labels import LabelQueue
from dataplat._labels._rows import source_rows
from dataplat._labels._state import State
from dataplat._lake import Lake
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.testing.label_server import FakeLabelStudio

PEOPLE = ("anna", "bob", "cy")
WORDS = [str(digit) for digit in range(10)]
ERR = {"anna": 0.05, "bob": 0.12, "cy": 0.35}
"""How often each of them says another digit than they see."""


@pytest.fixture(scope="module")
def digits() -> pa.Table:
    """Return the pictures as PNG, with the digit that each truly shows."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    pictures = []
    for pixels in found.images:
        file = io.BytesIO()
        Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64)).save(file, "PNG")
        pictures.append(file.getvalue())
    truth = [str(digit) for digit in found.target]
    return pa.table({"picture_id": range(len(pictures)), "picture": pictures, "truth": truth})


@pytest.fixture
def site() -> Iterator[FakeLabelStudio]:
    """Return a fake server on which the three have accounts."""
    with FakeLabelStudio() as serving:
        for name in PEOPLE:
            serving.add_user(name)
        yield serving


@pytest.mark.slow
def test_digits_come_home(
    digits: pa.Table, site: FakeLabelStudio, new_lake: Callable[[], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each picture is asked of two, every answer lands on its row, and what they say together is close to the truth."""
    monkeypatch.setattr("dataplat._labels._media.media_links", lambda *_: "http://127.0.0.1/none.png")
    lake = new_lake()
    lake.ingest(digits, into="digits", key=["picture_id"])
    with closing(LabelStudioServer(site.url, site.token)) as server:
        _round_trip(digits, site, lake, server)


def _round_trip(digits: pa.Table, site: FakeLabelStudio, lake: Lake, server: LabelStudioServer) -> None:
    queue = lake.label_queue(
        "digits",
        source="digits",
        show=["picture"],
        template="image-classification",
        choices=WORDS,
        overlap=3,
        annotators=PEOPLE,
        server=server,
    )
    queue.push()
    _answer(site, queue, digits)
    result = queue.pull()
    equal = len(digits) - len(set(digits["picture"].to_pylist()))
    assert result.new == 3 * (len(digits) - equal)
    assert queue.pull().commit is None

    right = {}
    for method in ("majority", "dawid-skene"):
        found = queue.consensus(method)
        found.commit(into="digit_labels")
        rows = lake["digit_labels"].to_polars().join(lake["digits"].to_polars(), on="picture_id")
        assert rows.height == len(digits)
        right[method] = float((rows["label"] == rows["truth"]).mean())
    assert right["majority"] > 0.95
    assert right["dawid-skene"] >= right["majority"] - 0.005


def _answer(site: FakeLabelStudio, queue: LabelQueue, digits: pa.Table) -> None:
    """Have everybody answer what lies before them, each erring in their own way."""
    draw = np.random.default_rng(7)
    ids = {user.name: user.id for user in site.users}
    state = State.at_head(queue.lake, queue.name, queue.branch)
    rows = source_rows(state, ["truth"])
    truth = dict(zip(rows["task"].to_pylist(), rows["truth"].to_pylist(), strict=True))
    for placed in state.placements.to_pylist():
        word = truth[placed["task"]]
        if draw.random() < ERR[placed["annotator"]]:
            word = WORDS[(int(word) + 1 + int(draw.integers(0, 9))) % 10]
        site.answer(placed["id"], ids[placed["annotator"]], state.config.result_of(word))
