"""What differs between two versions, told by this process or by Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.versioning import Diff
from dataplat.versioning.references import resolve

if TYPE_CHECKING:
    from dataplat._lake import Lake
    from dataplat.lake.engine import Engine


def diff(lake: Lake, before: str, after: str, engine: str | Engine) -> Diff:
    """Return what differs between the versions that two references name."""
    dataset, old, _ = resolve(lake.refs, lake.objects, before)
    _, new, _ = resolve(lake.refs, lake.objects, after, dataset=dataset)
    if engine == "local":
        return Diff(lake.objects, old, new)
    from dataplat._engine import engine_of
    from dataplat._spark._diff import SparkDiff
    from dataplat._spark._engine import SparkEngine

    found = engine_of(engine, lake)
    return SparkDiff(found, lake.objects, old, new) if isinstance(found, SparkEngine) else Diff(lake.objects, old, new)
