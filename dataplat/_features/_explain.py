"""Why a feature has the value that it has: the rows that could have been served, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from dataplat._features._history import micros_of
from dataplat._features._sources import ViewSource
from dataplat.errors import SchemaError
from dataplat.feature_store.closure import computed_words, used_views
from dataplat.feature_store.definitions import FeatureService, FeatureView, Field
from dataplat.feature_store.kernel.answer import answer, counted_lives
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.lives import FOREVER
from dataplat.feature_store.kernel.order import starts_of
from dataplat.feature_store.status import NAMES
from dataplat.feature_store.windows import First, Last, LastN, parts_of
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dataplat._features._store import FeatureStore
    from dataplat.feature_store.kernel.facts import Facts
    from dataplat.feature_store.windows import Ratio, Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the key: when it was true, from when until when it could be served, and why it is served, or is not.

    Attributes:
        e: its event time.
        k: from when it could be served.
        gone: when it was deleted.
        verdict: what became of it, in words.
        values: its columns.
        windows: the window features that it counts in.
    """

    e: datetime
    k: datetime
    gone: datetime | None
    verdict: str
    values: Mapping[str, Any]
    windows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ViewExplained:
    """What a view serves of one key, and the rows that it looked at, the newest last.

    Attributes:
        view: its name.
        features: value, status and age of each.
        candidates: the rows.
        windows: the features that are made of several rows.
    """

    view: str
    features: Mapping[str, tuple[Any, str, timedelta | None]]
    candidates: Sequence[Candidate]
    windows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why features are what they are, view by view.

    Attributes:
        service: `name@version`.
        t: when.
        views: those of which all keys were given.
        left: the others, and which keys they want.
        computed: on-demand features, and what each is computed of.
    """

    service: str
    t: datetime
    views: Sequence[ViewExplained]
    left: Mapping[str, Sequence[str]] = field(default_factory=dict)
    computed: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "service": self.service,
            "t": self.t.isoformat(),
            "views": [
                {
                    "view": each.view,
                    "features": {
                        name: {"value": value, "status": status, "age_us": None if age is None else _us(age)}
                        for name, (value, status, age) in each.features.items()
                    },
                    "candidates": [
                        {
                            "e": one.e.isoformat(),
                            "k": one.k.isoformat(),
                            "gone": None if one.gone is None else one.gone.isoformat(),
                            "verdict": one.verdict,
                            "values": dict(one.values),
                            "windows": list(one.windows),
                        }
                        for one in each.candidates
                    ],
                }
                for each in self.views
            ],
            "left": {name: list(keys) for name, keys in self.left.items()},
            "computed": dict(self.computed),
        }

    def __repr__(self) -> str:
        lines = [f"{self.service} at {self.t.isoformat()}"]
        for each in self.views:
            lines.append(f"  {each.view}")
            for name, (value, status, age) in each.features.items():
                lines.append(f"    {name} = {value!r} ({status}{'' if age is None else f', {age} old'})")
            for one in each.candidates:
                values = ", ".join(f"{name}={value!r}" for name, value in one.values.items())
                counts = f" (counts in {', '.join(one.windows)})" if one.windows else ""
                lines.append(f"      {one.e.isoformat()}  {one.verdict}: {values}{counts}")
        lines += [f"  {name} is not looked at: it wants {', '.join(keys)}" for name, keys in self.left.items()]
        lines += [f"  {name} = {words}" for name, words in self.computed.items()]
        return "\n".join(lines)


def explain(
    store: FeatureStore, service: FeatureService, entities: Mapping[str, Any], t: datetime, *, limit: int = 20
) -> Explanation:
    """Return why the features of one key are what they are at `t`, with at most `limit` rows of each view, around the newest.

    Views of which a key is not given are left out, and told.
    """
    import pyarrow as pa

    at = micros_of(t, "t")
    wanted = {name for view in used_views(service) for name in view.spine_keys}
    for name in entities:
        if name not in wanted:
            raise SchemaError(f"{service.name} has no entity {name!r}{did_you_mean(name, sorted(wanted))}")
    left = {view.name: lacking for view in used_views(service) if (lacking := _lacking(view, entities))}
    asked = [view for view in used_views(service) if view.name not in left]
    if not asked:
        raise SchemaError(f"whose features? {service.name} is asked by {', '.join(sorted(wanted))}, and none is given")
    spine = pa.table({name: [value] for name, value in entities.items()} or {"": [None]})
    views = [_explained(store, view, spine, at, limit) for view in asked]
    return Explanation(service.reference, t, views, left, computed_words(service))


def _lacking(view: FeatureView, entities: Mapping[str, Any]) -> list[str]:
    """Return the keys of a view that are not given."""
    return [name for name in view.spine_keys if name not in entities]


def _explained(store: FeatureStore, view: FeatureView, spine: pa.Table, t: int, limit: int) -> ViewExplained:
    ask = Ask.of(view, spine, np.array([t], np.int64))
    facts = ViewSource.of(store, view).of_keys(ask.high, ask.low)
    told = answer(view, facts, ask)
    features = {
        name: (
            column[0].as_py(),
            NAMES[told.statuses[name][0]],
            None if told.ages[name][0] < 0 else timedelta(microseconds=int(told.ages[name][0])),
        )
        for name, column in told.columns.items()
    }
    own = np.flatnonzero((facts.high == ask.high[0]) & (facts.low == ask.low[0]))
    rows = [] if ask.keyless is not None and ask.keyless[0] else own.tolist()
    windows = tuple(each.feature for each in view.features if not isinstance(each, Field))
    return ViewExplained(view.name, features, _around(_candidates(view, facts, rows, t), limit), windows)


def _around(found: list[Candidate], limit: int) -> list[Candidate]:
    """Return the rows around the newest one: those before it, and the first few that were not to be had yet."""
    newest = max((at for at, one in enumerate(found) if one.verdict.startswith("the newest")), default=-1)
    stop = min(len(found), newest + 1 + max(limit // 5, 1))
    return found[max(0, stop - limit) : stop]


def _candidates(view: FeatureView, facts: Facts, rows: list[int], t: int) -> list[Candidate]:
    """Return the rows of a key in their order, each with what became of it."""
    import pyarrow as pa

    alive = [row for row in rows if facts.e[row] <= t and facts.k[row] <= t and not _gone(facts, row, t)]
    newest = alive[-1] if alive else None
    values = (
        facts.columns.take(pa.array(rows, pa.int64())).to_pylist() if facts.columns.num_columns else [{}] * len(rows)
    )
    counted = _counted(view, facts, t, newest)
    found = []
    for row, cells in zip(rows, values, strict=True):
        e, k = int(facts.e[row]), int(facts.k[row])
        gone = None if facts.gone is None or facts.gone[row] == FOREVER else int(facts.gone[row])
        if k > t:
            verdict = f"not known yet, but from {_time(k).isoformat()}"
        elif gone is not None and gone <= t:
            verdict = f"deleted at {_time(gone).isoformat()}"
        elif e > t:
            verdict = "in the future"
        elif row != newest:
            verdict = "older" if row in counted else "corrected: a newer row of its row key is known"
        elif view.view.ttl is not None and t - e > view.view.ttl:
            verdict = f"the newest, but expired: older than {timedelta(microseconds=view.view.ttl)}"
        else:
            verdict = "the newest: served"
        windows = counted.get(row, ())
        found.append(Candidate(_time(e), _time(k), None if gone is None else _time(gone), verdict, cells, windows))
    return found


def _counted(view: FeatureView, facts: Facts, t: int, newest: int | None) -> dict[int, tuple[str, ...]]:
    """Return the rows that count at `t`, each with the windows that it is in: none where the view has expired."""
    bounds = np.append(starts_of(facts), len(facts)).astype(np.int64)
    lived = counted_lives(facts, bounds)
    there = (lived.on <= t) & (True if lived.until is None else lived.until > t)
    ttl = view.view.ttl
    expired = newest is None or (ttl is not None and t - int(facts.e[newest]) > ttl)
    rows = np.unique(lived.row[there])
    own = (
        rows[(facts.high[rows] == facts.high[newest]) & (facts.low[rows] == facts.low[newest])]
        if newest is not None
        else rows[:0]
    )
    found: dict[int, list[str]] = {row: [] for row in own.tolist()}
    for feature in view.features:
        if expired or isinstance(feature, Field):
            continue
        begin = _begin(feature, t)
        for row in _of(feature, own if begin is None else own[facts.e[own] > begin]):
            found[row].append(feature.feature)
    return {row: tuple(names) for row, names in found.items()}


def _of(feature: Window | Ratio, rows: NDArray[np.int64]) -> list[int]:
    """Return which rows of a window a feature is made of."""
    if isinstance(feature, First):
        rows = rows[:1]
    elif isinstance(feature, Last | LastN):
        rows = rows[-(feature.n if isinstance(feature, LastN) else 1) :]
    found: list[int] = rows.tolist()
    return found


def _begin(feature: Window | Ratio, t: int) -> int | None:
    """Return the time after which events are in a window, the longer one of a ratio; None: it is of all time."""
    begins = []
    for each in parts_of(feature):
        if each.span is None:
            return None
        begin = t - each.span
        begins.append(begin if each.hop is None else begin // each.hop * each.hop)
    return min(begins)


def _gone(facts: Facts, row: int, t: int) -> bool:
    return facts.gone is not None and bool(facts.gone[row] <= t)


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _us(age: timedelta) -> int:
    return age // timedelta(microseconds=1)
