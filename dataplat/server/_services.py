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
from typing import TYPE_CHECKING, Any, Final, Protocol

from dataplat.errors import DataplatError, NotMaterialized, StoreError
from dataplat.lake.schema import did_you_mean, type_to_json
from dataplat.server._answers import Writer
from dataplat.server._arrow import stream_of
from dataplat.server._asked import Asked, Reader
from dataplat.server._problems import Problem, problem_of

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat.feature_store.definitions import Entity
    from dataplat.feature_store.online.serve import Served, Serving
    from dataplat.feature_store.online.store import OnlineStore, Snapshot

EVERY: Final = 2.0
"""Seconds after which names are looked up again."""
SKEW: Final = 5_000_000
"""Microseconds by which the clock here may be behind the one of whoever made a snapshot."""
_LOG: Final = logging.getLogger("dataplat.serve")


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is served: what it takes, what it gives, how.

    Attributes:
        space: `service@version`.
        closure: the hash of all that its values depend on.
        entities: whose keys a request has, by the name that they have there.
        request: the types of the columns of a request.
        freshness: (view, microseconds) where a snapshot may be too old.
        serving: looks up.
        store: where.
        read: reads a request.
        write: writes an answer.
        place: where lookups of it are counted.
        least: of `freshness`, the microseconds below which none is stale.
    """

    space: str
    closure: str
    entities: Mapping[str, Entity]
    request: Mapping[str, str]
    freshness: tuple[tuple[str, int], ...]
    serving: Serving
    store: OnlineStore
    read: Reader
    write: Writer
    place: int
    least: float

    @property
    def name(self) -> str:
        """The name, without the version."""
        return self.space.partition("@")[0]

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The types of what it answers with."""
        return self.serving.kinds

    @property
    def computed(self) -> frozenset[str]:
        """Which of that are on-demand features."""
        return frozenset(each.name for each in self.serving.plan.transforms.expressions)

    def answer(self, asked: Asked, t: int) -> Served:
        """Look up.

        Where the clock here is a little behind the one by which the snapshot was made, the time is the snapshot's.

        Raises:
            Problem: It is far behind.
            DataplatError: There is no snapshot, the store does not answer, or a value is none of its type.
        """
        for _ in range(3):  # a newer snapshot may come in between
            try:
                return self.serving.answer(asked.entities, asked.request, t, self.reading)
            except NotMaterialized as error:
                snapshot = self.store.snapshot(self.space)
                if snapshot is None or snapshot.at <= t:
                    raise
                if snapshot.at - t > SKEW:
                    raise Problem("clock", str(error)) from error
                t = snapshot.at
        return self.serving.answer(asked.entities, asked.request, t, self.reading)

    def reading(self, keys: Sequence[bytes]) -> Any:
        """Read records of this service, all of one moment."""
        return self.store.read(self.space, keys)

    def stale(self, at: int, t: int) -> tuple[str, ...]:
        """Return the views for which a snapshot of a time is too old."""
        if t - at <= self.least:
            return ()
        return tuple(view for view, most in self.freshness if t - at > most)

    def json(
        self, served: Served, t: int, stale: Sequence[str], *, statuses: bool = False, ages: bool = False
    ) -> bytes:
        """Return an answer as JSON."""
        write = self.write
        if served.kinds is not self.serving.kinds:  # of a snapshot that was made when columns had other types
            write = Writer(self.space, served.kinds, self.computed)
        return write.json(
            served.raw,
            snapshot=served.snapshot.id,
            sequence=served.sequence,
            t=t,
            stale=stale,
            statuses=served.statuses if statuses else None,
            ages=served.ages if ages else None,
        )

    def arrow(self, served: Served, *, statuses: bool = False, ages: bool = False) -> bytes:
        """Return an answer as an Arrow stream."""
        return stream_of(served.table(statuses=statuses, ages=ages))


@dataclass(frozen=True, slots=True)
class State:
    """A service, and what is live of it.

    Attributes:
        stale: the views for which the snapshot is too old.
        trouble: why it cannot be served, where it cannot.
    """

    space: str
    service: Service | None
    snapshot: Snapshot | None
    stale: tuple[str, ...] = ()
    trouble: str | None = None

    def brief(self) -> dict[str, Any]:
        """Return whether it is served, and of when."""
        told: dict[str, Any] = {"service": self.space, "ready": self.snapshot is not None}
        if self.snapshot is not None:
            told |= {"snapshot": self.snapshot.id, "at": _told_time(self.snapshot.at), "stale": list(self.stale)}
        return told if self.trouble is None else told | {"trouble": self.trouble}

    def full(self) -> dict[str, Any]:
        """Return what it takes and gives, too."""
        if self.service is None:
            return self.brief()
        return self.brief() | {
            "closure": self.service.closure,
            "entities": {name: entity.dtype for name, entity in self.service.entities.items()},
            "request": dict(self.service.request),
            "features": {name: type_to_json(kind) for name, kind in self.service.types.items()},
            "freshness_seconds": {view: most / 1e6 for view, most in self.service.freshness},
        }


class Catalogue(Protocol):
    """Where services come from."""

    def spaces(self) -> list[str]:
        """Return all that are applied, as `service@version`."""
        ...

    def open(self, space: str) -> Service:
        """Return one of them, ready to answer.

        Raises:
            NotMaterialized: It has no snapshot yet.
            DataplatError: It cannot be served: its source lost a column, say.
        """
        ...

    def snapshot(self, space: str) -> Snapshot | None:
        """Return what is live of it."""
        ...

    def watch(self, state: State) -> None:
        """Tell who wants to know, once, which views of a service got too old, or are not any more."""
        ...

    def columns(self, view: str) -> Mapping[str, pa.DataType]:
        """Return the columns that rows pushed to a view may have; raise `FeatureNotFound` where there is no such view."""
        ...

    def push(self, view: str, rows: Any, idempotency: str | list[str] | None) -> dict[str, Any]:
        """Push rows of a view, and return what became of them.

        Raises:
            FeatureNotFound: There is no such view.
            DataplatError: The rows do not fit.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class Services:
    """The services of this process.

    Args:
        catalogue: where they come from.
        only: names, or `name@version`, that are served; all, where there is none.
        far: whether a lookup waits for another machine, so that it is made beside the loop.
    """

    def __init__(self, catalogue: Catalogue, only: Sequence[str] = (), *, far: bool = False) -> None:
        self.catalogue, self.far = catalogue, far
        self._only = tuple(only)
        self._open: dict[str, Service] = {}
        self._troubles: dict[str, DataplatError] = {}
        self._waiting: set[str] = set()
        self._names: dict[str, Service] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Service:
        """Return a service by `name` or `name@version`.

        Raises:
            Problem: It is not served.
        """
        found = self._names.get(name)
        return found if found is not None else self._missing(name)

    def _missing(self, name: str) -> Service:
        for space, trouble in self._troubles.items():
            if name in (space, space.partition("@")[0]):
                if isinstance(trouble, StoreError):
                    raise problem_of(trouble)
                raise Problem("conflict", f"{space} cannot be served: {trouble}", field="service")
        for space in self._waiting:
            if name in (space, space.partition("@")[0]):
                raise Problem("not-materialized", f"{space} has no snapshot yet: `dataplat features materialize`")
        known = sorted(self._names)
        raise Problem(
            "unknown-service", f"no service {name!r} is served here{did_you_mean(name, known)}", field="service"
        )

    def refresh(self) -> None:
        """Look up what is applied, and which version a name means. What fails is tried again; what is served goes on."""
        with self._lock:
            try:
                spaces = [space for space in self.catalogue.spaces() if self._wanted(space)]
            except DataplatError as error:
                _LOG.warning("what is applied cannot be looked up: %s", type(error).__name__)
                return
            self._waiting &= set(spaces)
            opened = {space: service for space in spaces if (service := self._opened(space)) is not None}
            self._troubles = {space: why for space, why in self._troubles.items() if space in spaces}
            names: dict[str, Service] = {}
            for space in sorted(opened, key=_version):
                name = space.partition("@")[0]
                if name not in names or self._live(space) or not self._live(names[name].space):
                    names[name] = opened[space]
            self._open, self._names = opened, {**opened, **names}
        for space, service in opened.items():
            if service.freshness:
                self.catalogue.watch(self._state(space, service))

    def _wanted(self, space: str) -> bool:
        return not self._only or space in self._only or space.partition("@")[0] in self._only

    def _opened(self, space: str) -> Service | None:
        if space in self._open:
            return self._open[space]
        try:
            found = self.catalogue.open(space)
        except NotMaterialized:
            self._waiting.add(space)
            self._troubles.pop(space, None)
            return None
        except DataplatError as error:
            self._waiting.discard(space)
            if str(self._troubles.get(space)) != str(error):
                _LOG.error("%s cannot be served: %s", space, error)
            self._troubles[space] = error
            return None
        self._troubles.pop(space, None)
        self._waiting.discard(space)
        return found

    def _live(self, space: str) -> bool:
        try:
            return self.catalogue.snapshot(space) is not None
        except DataplatError:
            return False

    def states(self) -> list[State]:
        """Return every service that is served, or should be, and what is live of it."""
        found: list[State] = []
        for space, service in self._open.items():
            away = found[-1].trouble if found else None  # nobody waits for a store that does not answer once for each
            found.append(self._state(space, service) if away is None else State(space, service, None, trouble=away))
        found += [State(space, None, None) for space in sorted(self._waiting)]
        found += [State(space, None, None, trouble=_told_trouble(why)) for space, why in self._troubles.items()]
        applied = {state.space for state in found}
        lacking = [name for name in self._only if not any(name in (s, s.partition("@")[0]) for s in applied)]
        return found + [State(name, None, None, trouble="no service of that name is applied") for name in lacking]

    def ready(self, states: Sequence[State]) -> bool:
        """Tell whether each service that should be served has a snapshot of some version, or of the one that is named."""
        live = {state.space for state in states if state.snapshot is not None}
        live |= {space.partition("@")[0] for space in live}
        return all(name in live for name in self._only or {state.space.partition("@")[0] for state in states})

    def state(self, name: str) -> State:
        """Return one of them; raise `Problem` where there is none."""
        service = self.find(name)
        return self._state(service.space, service)

    def _state(self, space: str, service: Service) -> State:
        try:
            snapshot = self.catalogue.snapshot(space)
        except DataplatError as error:
            return State(space, service, None, trouble=_told_trouble(error))
        stale = () if snapshot is None else service.stale(snapshot.at, time.time_ns() // 1000)
        return State(space, service, snapshot, stale)

    def all(self) -> list[Service]:
        """Return those that can answer."""
        return list(self._open.values())

    def close(self) -> None:
        """Let go of the store."""
        self.catalogue.close()


def _told_trouble(error: DataplatError) -> str:
    """Return why something cannot be served, as anybody may know it."""
    if isinstance(error, StoreError):
        return f"the online store does not answer ({type(error).__name__})"
    return str(error)


def _version(space: str) -> tuple[str, int]:
    name, _, version = space.partition("@")
    return name, int(version) if version.isdecimal() else 0


def _told_time(micros: int) -> str:
    from dataplat.versioning.history import show_time

    return show_time(micros).replace("+00:00", "Z")
