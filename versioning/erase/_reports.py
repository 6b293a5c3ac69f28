"""Reports of contracts, which show values of rows that failed: without examples, once rows are erased."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dataplat.errors import ObjectNotFound

if TYPE_CHECKING:
    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning.erase._scope import Scope
    from dataplat.versioning.redactions import Redactions


def blanked(objects: Objects, redactions: Redactions, scope: Scope, stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield (report, the same report without examples, staged) of every report of the dataset that shows any.

    Which examples are of an erased row cannot be told: a report shows only the values that failed.
    """
    reports = {check.report for _, _, change in scope.changes for check in change.checks if check.report}
    for id in sorted({redactions.follow(report) for report in reports}):
        try:
            report = json.loads(objects.read(id, ".json"))
        except (ObjectNotFound, ValueError):
            continue
        if any(check.get("examples") for check in report.get("checks", ())):
            yield id, stage.put(json.dumps(_without(report), sort_keys=True).encode(), ".json")


def _without(report: dict[str, Any]) -> dict[str, Any]:
    return {**report, "checks": [{**check, "examples": []} for check in report["checks"]]}
