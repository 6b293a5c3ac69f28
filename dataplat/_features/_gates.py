"""What is asked of a snapshot before it goes live: that its sources meet their contracts, and how far its features move.

How far a feature moves is an effect as `dataplat.validation.drift` has it, between what it was for the keys of the live
snapshot, when that was made, and what it would be now. A view says what it allows: `FeatureView(…, drift=0.1)`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataplat.errors import ConfigError, ContractFailed, ObjectNotFound, VersionNotFound
from dataplat.feature_store.kernel.answer import answer
from dataplat.feature_store.kernel.ask import Ask
from dataplat.feature_store.kernel.order import between, merged, starts_of
from dataplat.lake.schema import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from dataplat._features._sources import ViewSource
    from dataplat.feature_store.definitions import FeatureView
    from dataplat.feature_store.online.store import Snapshot
    from dataplat.validation.drift import ColumnDrift

ROWS: Final = 400_000
"""Rows of a source whose keys are looked at, if there are more; the same keys on both sides."""
KEYS: Final = 5_000
"""Keys that are looked at, even if they have more rows."""
_MOST: Final = 8_000_000
_WHOLE: Final = 1 << 64


def hold(space: str, sources: Mapping[str, ViewSource], contracts: Mapping[str, Any]) -> None:
    """Raise where a source does not meet its contract.

    Raises:
        ContractFailed: It does not.
        ConfigError: A contract is of what is no source of the service.
    """
    versions = {version.dataset: version for source in sources.values() for version in source.versions.values()}
    for dataset, contract in contracts.items():
        version = versions.get(dataset)
        if version is None:
            raise ConfigError(
                f"{space} has no source {dataset!r} to hold to a contract{did_you_mean(dataset, versions)}"
            )
        if not (report := version.validate(contract)).ok:
            lines = "\n  ".join(outcome.line() for outcome in report.failed[:5])
            raise ContractFailed(
                f"{version.dataset}@id:{version.id[:12]} does not meet contract {report.contract}, so {space} "
                f"goes on to serve what is live:\n  {lines}",
                report,
            )


def bound(
    space: str, bases: Sequence[FeatureView], sources: Mapping[str, ViewSource], live: Snapshot, at: int
) -> tuple[str, ...]:
    """Raise where features would move further than their views allow; return what could not be compared, in words.

    Args:
        space: the service.
        bases: its views.
        sources: of each, by name.
        live: the snapshot whose place a new one is to take.
        at: as of when that would be, microseconds.

    Raises:
        ContractFailed: A feature would.
    """
    far, untold = [], []
    for base in bases:
        try:
            far += [f"view {base.name}: {line}" for line in _moved(base, sources[base.name], live, at)]
        except (VersionNotFound, ObjectNotFound) as error:
            untold.append(
                f"view {base.name}: its drift is not known, since what is live was made of what is gone: {error}"
            )
    if far:
        lines = "\n  ".join(far)
        raise ContractFailed(
            f"{space} goes on to serve snapshot {live.id}: a new one would move features further than their views "
            f"allow:\n  {lines}\nIf that is right, let it go live this once (--accept-drift, accept_drift=True), or "
            "apply the view with another drift="
        )
    return tuple(untold)


def _moved(base: FeatureView, source: ViewSource, live: Snapshot, at: int) -> Iterator[str]:
    """Yield a line for each feature that moves too far."""
    names = {each.feature for each in base.features}
    limits = {name: most for name, most in base.view.drift if name in names}
    if not limits or not base.view.entities or all(live.pins.get(name) == id for name, id in source.pins.items()):
        return
    from dataplat.validation.drift import Question, TableColumns, drift_between, kind_of

    stop = _stop(source)
    before, after = _values(source.at(live.pins), live.at, stop), _values(source, at, stop)
    groups: dict[float, list[str]] = defaultdict(list)
    for name, most in limits.items():
        if any(kind_of(side.schema.field(name).type) is not None for side in (before, after)):
            groups[most].append(name)
    for most, some in groups.items():
        sides = TableColumns.of(before.select(some)), TableColumns.of(after.select(some))
        question = Question(some, min_effect=most, alpha=0.05 / len(groups))
        for column in drift_between(*sides, question).columns:
            if column.verdict in {"drift", "not comparable"}:
                yield _told(column, most)


def _told(column: ColumnDrift, most: float) -> str:
    if column.verdict == "not comparable":
        return f"{column.column} cannot be compared: {column.detail}"
    rows = " and ".join(f"{each:,}" for each in column.rows)
    return (
        f"{column.column} moves by {column.effect:.3f} ({column.method}, between {column.low:.3f} and "
        f"{column.high:.3f}, of {rows} keys), and {most:g} is allowed"
    )


def _values(source: ViewSource, t: int, stop: int) -> pa.Table:
    """Return what the features of keys below a digest are at a time."""
    import pyarrow as pa

    facts = source.whole if not source.apart else merged(source.view, [between(part, 0, stop) for part in source.parts])
    starts = starts_of(facts)
    wanted = facts.high[starts] < np.uint64(min(stop, _WHOLE - 1))
    if facts.keyless is not None:
        wanted &= ~facts.keyless[starts]
    places = starts[wanted]
    ask = Ask(facts.high[places], facts.low[places], None, np.full(len(places), t))
    return pa.table(answer(source.view, facts, ask).columns)


def _stop(source: ViewSource) -> int:
    """Return the digest below which keys are looked at: they are as good as drawn."""
    rows = max(source.rows, 1)
    share = min(1.0, ROWS / rows)
    while share < 1 and rows * share * 8 <= _MOST and _keys(source, round(share * _WHOLE)) < KEYS:
        share = min(1.0, share * 8)
    return round(share * _WHOLE)


def _keys(source: ViewSource, stop: int) -> int:
    return len(np.unique(np.concatenate([between(part, 0, stop).high for part in source.parts])))
