"""What is served: services by name, found once, and which version of one is meant by its name alone.

(name, version) never changes its meaning, so what is found stays; snapshots are swapped beneath it, by the online store.
What a name alone means is looked up again every few seconds: its newest version that has a snapshot, so that a new one
is filled while the old one serves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import DataplatError, RefError
from dataplat.lake.schema import did_you_mean
from dataplat.server._answers import Writer
from dataplat.server._asked import Asked, Reader
from dataplat.server._counts import Counts
from dataplat.server._problems import Problem

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.definitions import Entity, FeatureService
    from dataplat.feature_store.online.serve import Served, Serving
    from dataplat.feature_store.online.store import OnlineStore, Snapshot

EVERY: Final = 2.0
"""Seconds after which names are looked up again."""
_LOG: Final = logging.getLogger("dataplat.serve")


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is served: what it takes, what it gives, how.

    Attributes:
        space: `service@version`.
        closure: the hash of all that its values depend on.
        entities: whose keys a request has, by the name that they have there.
        request: the types of the columns of a request.
        types: of what it answers with.
        freshness: (view, microseconds) where a snapshot may be too old.
        serving: looks up.
        store: where.
        read: reads a request.
        write: writes an answer.
        place: where lookups of it are counted.
    """

    space: str
    closure: str
    entities: Mapping[str, Entity]
    request: Mapping[str, str]
    types: Mapping[str, pa.DataType]
    freshness: tuple[tuple[str, int], ...]
    serving: Serving
    store: OnlineStore
    read: Reader
    write: Writer
    place: int

    @property
    def name(self) -> str:
        """The name, without the version."""
        return self.space.partition("@")[0]

    def check_closure(self, sent: str | None) -> None:
        """Refuse a model that was trained under other definitions, naming both (PIT 26)."""
        if sent is not None and sent != self.closure and sent.strip().lower() != self.closure:
            detail = (
                f"the model was trained under {sent}, and {self.space} is {self.closure}: a definition changed since. "
                "Ask for the version that it was trained under, or train it again"
            )
            raise Problem("closure-mismatch", detail, field="closure", more={"sent": sent, "served": self.closure})

    def answer(self, asked: Asked, t: int) -> Served:
        """Look up."""
        return self.serving.answer(asked.entities, asked.request, t, self.reading)

    def reading(self, keys: Sequence[bytes]) -> Any:
        """Read records of this service, all of one moment."""
        return self.store.read(self.space, keys)

    def stale(self, at: int, t: int) -> tuple[str, ...]:
        """Return the views for which a snapshot of a time is too old."""
        return tuple(view for view, most in self.freshness if t - at > most)

    def json(
        self, served: Served, rows: int, t: int, stale: Sequence[str], *, statuses: bool = False, ages: bool = False
    ) -> bytes:
        """Return an answer as JSON."""
        return self.write.json(
            served.columns,
            rows,
            snapshot=served.snapshot.id,
            sequence=served.sequence,
            t=t,
            stale=stale,
            statuses=served.statuses if statuses else None,
            ages=served.ages if ages else None,
        )

    def arrow(self, served: Served, rows: int, *, statuses: bool = False, ages: bool = False) -> bytes:
        """Return an answer as an Arrow stream."""
        return self.write.arrow(
            served.columns, rows, statuses=served.statuses if statuses else None, ages=served.ages if ages else None
        )
