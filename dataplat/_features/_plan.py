"""What applying a service would do, what it will cost to serve, and what is wrong with it: found on the real rows of its sources."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat._features._doubts import doubts
from dataplat._features._group import facts_of_keys
from dataplat._features._grows import shrunk
from dataplat._features._measured import measured
from dataplat._features._pushed_names import datasets_of
from dataplat._features._registry import definitions, differences, limits_changed, otherwise
from dataplat._features._sources import ViewSource
from dataplat._features._tried import first_line, missing, proven, said, uncomputable
from dataplat.errors import DataplatError
from dataplat.feature_store.closure import closure_hash
from dataplat.feature_store.definitions import FeatureService, FeatureView, Sql
from dataplat.feature_store.kernel.locality import prove
from dataplat.feature_store.online.plan import ServingPlan, bases_of, flat, types_of
from dataplat.feature_store.online.record import pack
from dataplat.feature_store.online.weights import Weighs
from dataplat.feature_store.windows import spoken
from dataplat.ingest._progress import Meter
from dataplat.lake.schema import type_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat._features._measured import Words
    from dataplat._features._store import FeatureStore

_SAMPLE: Final = 2_000
"""Keys of which records are packed, to see how large they are."""
_SIDES: Final = 2
"""Snapshots that are kept: the live one, and the one before, to go back to."""


@dataclass(slots=True)
class ViewPlan:
    """What a view is made of.

    Attributes:
        view: its name.
        source: the dataset, or `sql`.
        versions: what would be read, by dataset.
        rows: rows that count.
        keys: different keys.
        keyless: rows whose key is null: nobody can ask for them.
        ties: rows that agree with another one in key, event time and known time (PIT 6).
        events: the most events of one key in an exact window, that are kept online.
        features: its features.
    """

    view: str
    source: str
    versions: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    keys: int = 0
    keyless: int = 0
    ties: int = 0
    events: int = 0
    features: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What `apply` would do, and what serving will cost.

    Attributes:
        service: `name@version`.
        closure: the hash of the definition.
        state: `new`; `same`: the very same is applied; `changed`: this version is applied, and defined otherwise.
        changes: what differs from the version before (or from the one that is applied), in words.
        refused: why it cannot be applied.
        warnings: what should be looked at.
        views: what it is made of.
        keys: records that a snapshot would have.
        bytes_per_key: of a record, about.
        nbytes: of a snapshot, about.
        memory: bytes of memory that serving takes at most, about: the live snapshot and the one before, as the online store
            that is in force keeps them. Rows that are pushed come on top until a snapshot holds them.
        memory_is: how that is estimated, in words.
    """

    service: str
    closure: str
    state: str
    changes: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    views: list[ViewPlan] = field(default_factory=list)
    keys: int = 0
    bytes_per_key: float = 0.0
    nbytes: int = 0
    memory: int = 0
    memory_is: str = ""

    @property
    def ok(self) -> bool:
        """Whether it can be applied."""
        return not self.refused

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self) | {"ok": self.ok}

    def __repr__(self) -> str:
        lines = [f"{self.service}: {self.state}, closure {self.closure[:12]}"]
        lines += [f"  ~ {each}" for each in self.changes]
        for view in self.views:
            lines.append(f"  {view.view} ({view.source}): {view.rows:,} rows of {view.keys:,} keys")
        lines.append(
            f"  snapshot: {self.keys:,} keys, about {self.bytes_per_key:,.0f} bytes each, {self.nbytes:,} in all"
        )
        lines += [f"  memory: at most about {self.memory:,} bytes ({self.memory_is})"] * bool(self.memory)
        lines += [f"  ! {each}" for each in self.warnings]
        lines += [f"  x {each}" for each in self.refused]
        return "\n".join(lines)


def plan(store: FeatureStore, service: FeatureService, meter: Meter | None = None) -> Plan:
    """Say what applying a service would do; nothing is changed."""
    meter = meter or Meter()
    made = Plan(service.reference, closure_hash(service), "new")
    _against_others(store, service, made)
    bases = bases_of(service)
    if not bases:
        made.refused.append(f"service {service.name} has no features of a view: nothing of it could be kept and served")
    sources = {base.name: source for base in bases if (source := _source(store, base, made)) is not None}
    digests = {name: _looked(source, made, meter) for name, source in sources.items()}
    if bases and len(sources) == len(bases):
        try:
            serving = ServingPlan.of(service, types_of({name: source.schema for name, source in sources.items()}))
            _prove(serving)
        except DataplatError as error:
            made.refused.append(first_line(error))
            return made
        if not made.refused:
            meter.enter("packing some keys of")
            _sized(store, serving, sources, digests, made)
    return made


def _against_others(store: FeatureStore, service: FeatureService, made: Plan) -> None:
    own = [each for each in definitions(store) if each.service == service.name]
    same = next((each for each in own if each.version == service.version), None)
    if (reason := otherwise(store, service, made.closure)) is not None:
        made.state = "changed"
        made.refused.append(reason)
    elif same is not None:
        made.state = "same"
        made.changes = limits_changed(same, service)
    elif own:
        before = ([each for each in own if each.version < service.version] or own)[-1]
        made.changes = [f"since {before.name}: {each}" for each in differences(before, service)]
        if before.closure == made.closure:
            made.warnings.append(f"it is defined as {before.name} is")


def _source(store: FeatureStore, view: FeatureView, made: Plan) -> ViewSource | None:
    """Return the source of a view, if it is there and has the columns that the view reads."""
    try:
        source = ViewSource.of(store, view)
        lost = missing(view, source.schema)
    except DataplatError as error:
        lost = [said(view, error)]
    made.refused += lost
    return None if lost else source


def _looked(source: ViewSource, made: Plan, meter: Meter) -> Words:
    """Look at the rows of a source: whether they stay, what they are, and whether features can be computed of them.

    The digests of their keys are returned.
    """
    view = source.view
    meter.enter(f"looking at {view.name}:")
    if (reason := shrunk(view, source)) is not None:
        made.refused.append(reason)
    try:
        proven(view, source)
        found = measured(source, meter.add_rows)
    except DataplatError as error:
        made.refused.append(said(view, error))
        return np.zeros((0, 2), np.uint64)
    made.views.append(
        ViewPlan(
            view.name,
            "sql" if isinstance(view.view.source, Sql) else view.view.source,
            source.pins,
            found.rows,
            len(found.digests),
            found.keyless,
            found.ties,
            found.events,
            [each.feature for each in view.features],
        )
    )
    _counted(view, found.events, made)
    made.refused += uncomputable(source)
    made.warnings += doubts(source, found.keyless, found.ties)
    return found.digests


def _prove(serving: ServingPlan) -> None:
    """Prove that on-demand features look at one row at a time (PIT 25)."""
    kinds = {name: type_to_json(kind) for name, kind in serving.kinds.items()}
    for each in serving.transforms.expressions:
        prove(each, kinds | dict(each.request))


def _counted(view: FeatureView, events: int, made: Plan) -> None:
    """Refuse more events of one key than a view allows, and say which tiles would do (PIT 22)."""
    most = view.view.max_events_per_key
    if events > most:
        exact = [each for each in flat(view.features) if each.hop is None]
        longest = max(exact, key=lambda each: each.span or 1 << 62)
        width = "hop(1d)" if longest.span is None else f"hop({spoken(max(longest.span // 24, 1_000_000))})"
        made.refused.append(
            f"view {view.name}: {longest.feature} keeps {events:,} events of one key online, and max_events_per_key is "
            f"{most:,}: make it of tiles (accuracy={width!r}), or allow more"
        )


def _sized(
    store: FeatureStore,
    serving: ServingPlan,
    sources: Mapping[str, ViewSource],
    digests: Mapping[str, Words],
    made: Plan,
) -> None:
    """Pack the records of some keys, to see how large a snapshot will be."""
    online, memory = store.online, 0.0
    for group in serving.groups:
        keys = np.unique(np.concatenate([digests[base.name] for base in group.bases]), axis=0)
        some = keys[:: max(1, len(keys) // _SAMPLE)]
        high, low = (np.ascontiguousarray(some[:, lane]) for lane in (0, 1))
        facts, _ = facts_of_keys({base.name: sources[base.name] for base in group.bases}, high, low)
        at = max((int(np.maximum(each.e, each.k).max()) for each in facts.values() if len(each)), default=0)
        sizes = [(len(key), len(record)) for key, record in pack(serving, group, facts, at)]
        share = len(keys) / max(len(sizes), 1)
        made.keys += len(keys)
        made.nbytes += round(share * sum(key + record for key, record in sizes))
        if isinstance(online, Weighs):
            memory += share * sum(online.weight(*each) for each in sizes)
    made.bytes_per_key = made.nbytes / max(made.keys, 1)
    if isinstance(online, Weighs):
        more = "; pushed rows come on top until a snapshot holds them" if datasets_of(serving.service) else ""
        made.memory, made.memory_is = round(_SIDES * memory), f"{online.kept_as}{more}"
