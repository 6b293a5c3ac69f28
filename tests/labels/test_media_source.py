"""What links to media find in a lake: files beside it, cells of the source, and only what was asked about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import dataplat as dp
from dataplat._labels._media_source import find_media
from dataplat.labeling.label_studio._state import State
from dataplat.labeling.label_studio.client import LabelStudioServer
from dataplat.labeling.serve import links
from dataplat.labeling.serve.links import Media, read
from dataplat.labeling.serve.media import NoMedia
from dataplat.testing.label_server import FakeLabelStudio

PNG = b"\x89PNG\r\n\x1a\n"
STATE = State(token="t" * 40, password="p", secret="s" * 64)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[pa.Array], list[Media]]]:
    """Return a function that pushes a queue of media, and gives what the links in its tasks name, in order of id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(links, "_in_force", lambda: (STATE, "http://127.0.0.1:1"))
    with FakeLabelStudio() as site:
        site.add_user("anna")
        server = LabelStudioServer(site.url, site.token)

        def push(media: pa.Array) -> list[Media]:
            lake = dp.open("lake")
            lake.ingest(pa.table({"id": range(len(media)), "media": media}), into="things", key=["id"])
            queue = lake.label_queue(
                "q", source="things", show=["media"], template="image-classification", choices=["a"], key=["id"],
                annotators=["anna"], server=server,
            )  # fmt: skip
            queue.push()
            (project,) = server.projects("dataplat:")
            tasks = server.changed_tasks(project.id, datetime(2020, 1, 1, tzinfo=UTC))
            named = [read(each["data"]["media"].rpartition("/")[2], Media, STATE) for each in tasks]
            return [each for each in named if each is not None]

        yield push
        server.close()


def test_cells(shown: Callable[[pa.Array], list[Media]]) -> None:
    """Bytes in a cell are found in the version that was asked about, whatever was done to the source since."""
    named = shown(pa.array([PNG + b"one", PNG + b"two", b"no media"], pa.binary()))
    sizes = [len(PNG) + 3] * 2

    def given() -> list[bytes]:
        return [found.read(0, found.size) for found in map(find_media, named[:2])]

    assert sorted(given()) == [PNG + b"one", PNG + b"two"]
    assert [find_media(each).size for each in named[:2]] == sizes
    with pytest.raises(NoMedia):
        find_media(named[2])
    lake = dp.open("lake")
    lake.ingest(pa.table({"id": [0], "media": [PNG + b"changed"]}), into="things", key=["id"], mode="upsert")
    assert sorted(given()) == [PNG + b"one", PNG + b"two"]


def test_files(shown: Callable[[pa.Array], list[Media]], tmp_path: Path) -> None:
    """A path is read where it lies, relative to where the server runs or to the folder of the lake."""
    (tmp_path / "a.png").write_bytes(PNG + b"a")
    (tmp_path / "secret").write_bytes(b"root:x:0:0")
    named = shown(pa.array(["a.png", "gone.png", str(tmp_path / "secret")]))
    found = find_media(named[0])
    assert (found.kind, found.read(0, found.size)) == ("image/png", PNG + b"a")
    for each in named[1:]:
        with pytest.raises(NoMedia):
            find_media(each)


def test_only_what_was_asked(shown: Callable[[pa.Array], list[Media]]) -> None:
    """A task or a column that is not there shows nothing, and no name of one reaches the lake as SQL."""
    (named,) = shown(pa.array([PNG + b"one"], pa.binary()))
    for task, column in (("0" * 32, "media"), (named.task, "id"), (named.task, "other"), ("x' OR '1'='1", "media")):
        with pytest.raises(NoMedia):
            find_media(Media(named.lake, "q", "main", task, column, 0))
    assert json.dumps(named.lake).startswith('"/')
