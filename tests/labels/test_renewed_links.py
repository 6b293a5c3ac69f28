"""Links of unanswered tasks are renewed before they end."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataplat.labeling.spec import DAY


def test_a_push_renews_links_that_are_half_over(desk_of, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once half of their time has passed open tasks get new links; answered ones are left as they are."""
    made = iter(range(10_000))
    monkeypatch.setattr("dataplat._labels._media.media_links", lambda *_: f"http://127.0.0.1/{next(made)}.png")
    desk = desk_of()
    pictures = pa.table({"n": [1, 2], "picture": [b"one", b"two"]})
    desk.lake.ingest(pictures, into="pictures", key=["n"])
    queue = desk.lake.label_queue(
        "shown", "pictures", show=["picture"], template="image-classification", choices=["a", "b"],
        annotators=["anna"], media_for=10 * DAY, server=desk.queue.server,
    )  # fmt: skip
    queue.push()

    def links() -> dict[int, str]:
        return {task.id: task.data["picture"] for task in desk.site.tasks() if "picture" in task.data}

    first = links()
    answered, open_ = sorted(first)
    desk.site.answer(answered, desk.people["anna"], [])
    queue.pull()
    queue.push()
    assert links() == first

    queue.set(media_for=1e-6)
    queue.push()
    second = links()
    assert second[answered] == first[answered]
    assert second[open_] != first[open_]
