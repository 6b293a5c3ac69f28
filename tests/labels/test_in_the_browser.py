"""From a dataset to a person before a browser, and back: the real Label Studio, our own server, a real Chromium.

`dataplat label server start` starts both as a user would; a person opens the one link that they were sent, sees the
picture that a cell of the dataset holds, chooses another label than the one prefilled, and submits. The webhook wakes a
pull that goes on, and the label is a version of the dataset.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pytest

import dataplat as dp
from servers import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("label_studio")]

Command = Callable[..., str]


def picture(grey: int) -> bytes:
    """Return a small PNG of one grey."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (40, 30), grey).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Return what runs `dataplat`, with a Label Studio of this module's own, in a folder of its own."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setenv("DATAPLAT_LABEL_STUDIO", str(needs("label-studio")))
        patch.chdir(folder)

        def run(*arguments: str) -> str:
            done = subprocess.run(
                ["nice", sys.executable, "-m", "dataplat", *arguments],
                capture_output=True, text=True, check=False, env=os.environ, cwd=folder,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        try:
            yield run
        finally:
            run("label", "server", "stop")


@pytest.fixture(scope="module")
def lake(command: Command) -> dp.Lake:
    """Return a lake of pictures in cells, one of them dark, with predictions that call them all light."""
    lake = dp.open("lake")
    pictures = {"id": [1, 2], "picture": [picture(20), picture(230)]}
    lake.ingest(pa.table(pictures), into="pictures", key=["id"])
    lake.ingest(pa.table({"id": [1, 2], "label": ["light", "light"]}), into="guessed", key=["id"])
    return lake


def test_a_label_comes_home(command: Command, lake: dp.Lake, browser: Browser) -> None:
    """A person enters by their link, corrects what was prefilled, and the correction is a version of the dataset."""
    started = json.loads(command("label", "server", "start", "--json"))
    assert started["running"] is True
    link = json.loads(command("label", "annotator", "add", "anna", "--json"))["url"]
    queue = lake.label_queue(
        "shades", source="pictures", show=["picture"], template="image-classification", choices=["dark", "light"],
        annotators=["anna"], key=["id"], prelabel="guessed",
    )  # fmt: skip
    assert queue.push().placed == {"anna": 2}
    with Following(queue) as pulled:
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.goto(link, timeout=120_000)
        choose(page, before="light", other="dark")
        assert pulled.wait(30), "the webhook woke nobody"
    answers = lake["shades.annotations"].to_arrow().to_pylist()
    assert [(each["annotator"], each["skipped"]) for each in answers] == [("anna", False)]
    (answer,) = json.loads(answers[0]["result"])
    assert answer["value"] == {"choices": ["dark"]}
    assert answers[0]["parent_prediction"] is not None
    regions = lake["shades.regions"].to_arrow().to_pylist()
    assert [(each["labels"], each["task"]) for each in regions] == [(["dark"], answers[0]["task"])]
    first = lake["shades.tasks"].to_arrow().sort_by("position").to_pylist()[0]
    assert first["task"] == answers[0]["task"]
    assert "\\u0089PNG" not in first["data"]  # pictures are referred to, never embedded


def choose(page: Page, before: str, other: str) -> None:
    """Choose another label than the one prefilled, with the picture there, and submit."""
    page.wait_for_function("[...document.images].some(image => image.naturalWidth === 40)", timeout=120_000)
    box = page.locator(f'input[name="{before}"]')
    box.wait_for(state="attached")
    page.wait_for_function("box => box.checked", arg=box.element_handle())
    page.locator(f'input[name="{other}"]').check(force=True)
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as sent:
        page.get_by_test_id("bottombar-submit-button").click()
    assert sent.value.status == 201


class Following:
    """Pulls go on in a thread, seldom by themselves; `wait` says whether one came that brought something."""

    def __init__(self, queue: Any) -> None:
        self._queue, self._stop, self._came = queue, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def _follow(self) -> None:
        self._queue.follow(self._tell, every=600, stop=self._stop)

    def _tell(self, result: Any) -> None:
        if result.new:
            self._came.set()

    def wait(self, seconds: float) -> bool:
        """Wait for an answer."""
        return self._came.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.proof
def test_started_and_stopped(command: Command) -> None:
    """Started again it is the same server on the same ports, and what people were sent still leads there."""
    first = json.loads(command("label", "server", "start", "--json"))
    link = json.loads(command("label", "annotator", "add", "bob", "--json"))
    assert json.loads(command("label", "server", "start", "--json")) == first
    assert json.loads(command("label", "server", "stop", "--json")) == {"stopped": True}
    stopped = json.loads(command("label", "server", "status", "--json"))
    assert (stopped["running"], stopped["url"]) == (False, None)
    assert json.loads(command("label", "server", "start", "--json")) == first
    again = json.loads(command("label", "annotator", "add", "bob", "--json"))
    assert (again["url"], link["new"], again["new"]) == (link["url"], True, False)
    assert "bob@annotators.example" in command("label", "annotator", "list")
    folder = Path(first["folder"])
    for log in (folder / "serve.log", folder / "label-studio.log"):
        said = log.read_text("utf-8", errors="replace")
        assert link["url"].rpartition("/")[2] not in said
