"""What a step back and a retirement would take away: plans, that write nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dataplat._features._registry import to_retire
from dataplat.errors import NotMaterialized

if TYPE_CHECKING:
    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.definitions import FeatureService


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a step back would do.

    Attributes:
        service: `name@version`.
        live: the id of the snapshot that is served, and would be let go of.
        snapshot: of the one that would be served again.
        at: as of when that is, microseconds UTC.
        keys: records that it has.
        pins: the versions that it was made of.
        others: of these the datasets of which the live one has another version.
    """

    service: str
    live: str
    snapshot: str
    at: int
    keys: int
    pins: Mapping[str, str]
    others: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RetirePlan:
    """What a retirement would take away.

    Attributes:
        service: `name@version`.
        closure: the hash of the definition, that alone may come back under this version.
        declared: whether the definition would go; else only a snapshot that outlived it.
        snapshot: the id of the snapshot that is served; None: none is.
        keys: records of it.
        nbytes: what it takes, with the one before.
        pushed: rows in its overlay; they land in their dataset all the same.
    """

    service: str
    closure: str
    declared: bool
    snapshot: str | None
    keys: int
    nbytes: int
    pushed: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def plan_rollback(store: FeatureStore, service: FeatureService) -> RollbackPlan:
    """Say what a step back would do; nothing is changed.

    Raises:
        NotMaterialized: There is no snapshot before the live one.
    """
    space = service.reference
    live, back = store.online.snapshot(space), store.online.previous(space)
    if live is None or back is None:
        raise NotMaterialized(
            f"{space} has no snapshot before the live one in {store.online.place}: it went back already?"
        )
    others = tuple(sorted(name for name, version in back.pins.items() if live.pins.get(name) != version))
    return RollbackPlan(space, live.id, back.id, back.at, back.keys, back.pins, others)


def plan_retire(store: FeatureStore, name: str) -> RetirePlan:
    """Say what a retirement of a version of a service (`name@version`) would take away; nothing is changed.

    Raises:
        FeatureNotFound: There is none.
        ConfigError: No version is named.
    """
    held, closure = to_retire(store, name)
    name = name if held is None else held.name
    live, size = store.online.snapshot(name), store.online.size(name)
    id = None if live is None else live.id
    return RetirePlan(name, closure, held is not None, id, size.keys, size.nbytes + size.previous, size.pushed)
