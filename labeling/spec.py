"""What a queue is: which rows are asked about, what is shown of them, who is asked and in which order."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from dataplat.errors import BadName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
DAY = 86_400.0


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The definition of a queue, as `NAME.queue` holds it.

    Attributes:
        name: letters, digits, `_` and `-`.
        source: the reference of the dataset that is asked about; each push looks at what it names then.
        where: SQL that its rows meet.
        show: the columns that annotators see, in order; with `key` they identify a task.
        key: columns that identify a task besides, though nobody sees them; by default none, so that equal rows are
            asked about once.
        config: the label config (Label Studio's XML).
        overlap: how many people answer each task.
        annotators: who is asked, by name.
        gold: a reference of rows whose answer is known (`answer` is its column); they are mixed in, one in `gold_every`.
        answer: the column of `gold` that holds the right label (or `result`, the right regions as JSON).
        pause_below: the share of gold tasks that an annotator answers rightly, below which nothing more is placed
            before them (after 5 of them).
        holdout: references of rows that may never be labelled for training.
        order: how tasks are ordered (`dataplat.labeling.order`), as plain values; None: as they lie in the source.
        prelabel: a reference of predictions, or `FILE.py:FUNCTION`.
        lease: seconds after which an unanswered task may be moved to somebody else.
        media_for: seconds that a link to a picture or a sound is good for.
        adjudicator: who decides where people disagree.
        closed: whether it takes no more.
    """

    name: str
    source: str
    show: tuple[str, ...]
    config: str
    where: str | None = None
    key: tuple[str, ...] = ()
    overlap: int = 1
    annotators: tuple[str, ...] = ()
    gold: str | None = None
    answer: str = "label"
    gold_every: int = 10
    pause_below: float = 0.6
    holdout: tuple[str, ...] = ()
    order: dict[str, Any] | None = None
    prelabel: str | None = None
    lease: float = 7 * DAY
    media_for: float = 7 * DAY
    adjudicator: str | None = None
    closed: bool = False

    def to_json(self) -> str:
        """Return it as JSON: equal definitions, equal texts."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @classmethod
    def from_json(cls, text: str) -> QueueSpec:
        """Read what `to_json` wrote."""
        return msgspec.json.decode(text, type=cls)


def check_queue_name(name: str) -> str:
    """Return the name; raise `BadName` where it cannot be one of a queue."""
    if not _NAME.fullmatch(name):
        raise BadName(
            f"{name!r} cannot name a queue: up to 64 letters, digits, _ and -, the first a letter or digit (its datasets are called {name}.tasks and so on)"
        )
    return name
