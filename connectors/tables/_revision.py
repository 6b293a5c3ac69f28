"""One state of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dataplat.connectors.tables._location import Location


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of a table: `id` is a Git commit, a Delta version or an Iceberg snapshot.

    `message`, `author` and `time` (ISO 8601) are those of who made it, as far as the table knows.
    """

    location: Location
    id: str
    message: str = ""
    author: str = ""
    time: str = ""

    @property
    def text(self) -> str:
        """The text that names it: `delta:///data/t@3`."""
        return self.location.at(self.id)

    @property
    def position(self) -> dict[str, str]:
        """Where a reader of the table is after it."""
        return {"revision": self.id}

    def detail(self) -> dict[str, Any]:
        """Return what is known of who made it, for the lineage."""
        known = {"message": self.message, "author": self.author, "time": self.time}
        return {name: value for name, value in known.items() if value}
