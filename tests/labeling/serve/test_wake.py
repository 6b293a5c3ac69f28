"""A webhook wakes who pulls."""

from __future__ import annotations

import time
from pathlib import Path

from dataplat.labeling.serve.wake import heard, ring


def test_heard_since(tmp_path: Path) -> None:
    """It is heard of the queue that it was about, from then on, and by who came before."""
    before = time.time() - 1
    assert not heard("q", before, tmp_path)
    ring("q", tmp_path)
    assert heard("q", before, tmp_path)
    assert not heard("other", before, tmp_path)
    assert not heard("q", time.time() + 1, tmp_path)


def test_any_name_stays_in_the_folder(tmp_path: Path) -> None:
    """A name that looks like a path is a file all the same, in the folder."""
    ring("../../x", tmp_path)
    assert heard("../../x", 0, tmp_path)
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "heard"]
