"""From a location to its states, and from a state to a source."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING

from dataplat.connectors.files._options import FileOptions
from dataplat.connectors.source import Item, Position, Progress, Source, Split
from dataplat.connectors.tables._location import locate
from dataplat.connectors.tables._revision import Revision
from dataplat.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.connectors.tables._location import Location


def revisions(text: str, *, history: bool = False) -> list[Revision]:
    """Return the states that `text` names, oldest first: one, or a range, or with `history` all that are left.

    What DVC tracks has a history unless one revision is named.

    Raises:
        SourceNotFound: There is no such table, or no such state of it.
        MissingExtra: The package that reads it is not installed.
    """
    location = locate(text)
    if location is None:
        raise SourceError(f"{text} names no table: write delta://PATH, iceberg://PATH or dvc://REPO/PATH")
    return _states(location, history=history)


def _states(location: Location, *, history: bool) -> list[Revision]:
    if location.kind == "delta":
        from dataplat.connectors.tables import delta

        return delta.revisions(location, history=history)
    if location.kind == "iceberg":
        from dataplat.connectors.tables import iceberg

        return iceberg.revisions(location, history=history)
    from dataplat.connectors.tables import dvc

    return dvc.revisions(location)


def open_table(text: str, options: FileOptions) -> Source:
    """Return the source of the newest state that `text` names."""
    newest = revisions(text)[-1]
    if newest.location.kind == "dvc":
        from dataplat.connectors.tables.dvc import open_state

        return StateSource(newest, lambda: open_state(newest, options))
    if newest.location.kind == "delta":
        from dataplat.connectors.tables.delta import open_reader
    else:
        from dataplat.connectors.tables.iceberg import open_reader

    def opened() -> Source:
        from dataplat.connectors.files.frames import FrameSource

        return FrameSource(open_reader(newest), options)

    return StateSource(newest, opened, once=True)


class StateSource:
    """One state of a table, in one split: read by the source that `opened` returns, positioned at its revision.

    `once` says that such a source can be read only once, so that every read opens it anew.
    """

    def __init__(self, revision: Revision, opened: Callable[[], Source], *, once: bool = False) -> None:
        self._revision = revision
        self._opened = opened
        self._once = once
        self._source: Source | None = None

    @property
    def name(self) -> str:
        """The state, as it is named."""
        return self._revision.text

    @property
    def is_text(self) -> bool:
        """Whether what holds the rows is text."""
        return self._inner().is_text

    def _inner(self) -> Source:
        if self._source is None:
            self._source = self._opened()
            self._source.plan({})
        return self._source

    def plan(self, positions: Mapping[str, Position | None]) -> list[Split]:
        """Return the one split; skipped where the position is at this state."""
        revision = self._revision
        held = positions.get(revision.location.source)
        reason = f"already ingested (at {revision.id[:12]})" if held == revision.position else None
        return [Split(revision.location.source, self.name, held, None, reason, revision.position if reason else None)]

    def schema(self) -> pa.Schema:
        """Return the schema of the state."""
        return self._inner().schema()

    def read(self, split: Split, on_progress: Progress | None = None) -> Generator[Item, None, None]:
        """Yield the rows of the state."""
        source = self._inner()
        if self._once:
            self._source = None
        for inner in source.plan({}):
            if inner.skipped is None:
                yield from source.read(inner, on_progress)

    def position(self, split: Split) -> Position | None:
        """Return the revision."""
        return self._revision.position
