"""A full disk under a pull: one clear error, nothing landed, and the next pull brings it all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dataplat as dp

if TYPE_CHECKING:
    from conftest import Desk

_PROGRAM = """
import resource, sys
import dataplat as dp
from dataplat.labeling.label_studio.client import LabelStudioServer
lake, url, token, limit = sys.argv[1:]
queue = dp.open(lake).label_queue("q", server=LabelStudioServer(url, token))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    queue.pull()
except dp.DataplatError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("limit", [1_000, 20_000])
def test_files_that_may_not_grow(desk_on, tmp_path: Path, limit: int) -> None:
    """Where neither the lake nor a temporary file may grow, the error says so, and the lake is as it was."""
    desk: Desk = desk_on(dp.open(tmp_path / "lake"))
    desk.queue.push()
    noise = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(60_000))
    for number, task in enumerate(desk.site.tasks()):
        desk.site.answer(task.id, desk.owner(task.project), desk.choice(noise[number * 3_000 :]))
    before = desk.lake.refs.head("main").number
    words = [sys.executable, "-c", _PROGRAM, desk.lake.url, desk.site.url, desk.site.token, str(limit)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "StoreError" in ended.stdout
    assert "the file is larger than the file system or a limit of this process allows" in ended.stdout
    assert desk.lake.refs.head("main").number == before
    desk.queue.pull()
    desk.check_pulled()
    assert desk.lake.verify().ok
