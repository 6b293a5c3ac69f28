"""Whether a lake still holds what was written, and putting right what a copy of it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import LakeNotFound
from dataplat.ingest._progress import Meter
from dataplat.versioning.verify import (
    Check,
    Collected,
    Problem,
    Repair,
    VerifyReport,
    repair,
    verify_lake,
    verify_version,
)

if TYPE_CHECKING:
    from pathlib import Path

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.lake.stores import Store

__all__ = ["Problem", "Repair", "VerifyReport", "verify"]

_ROUNDS = 20
"""How often is looked again: what lies behind a damaged manifest is seen only once that was put right."""


def verify(
    lake: Lake, reference: str | None, listener: Listener | None, repair_from: str | Path | None = None
) -> VerifyReport:
    """Verify one version, or everything; with `repair_from` put right what can be, and verify again."""
    if repair_from is None:
        return _verified(lake, reference, listener)
    source = _source(repair_from)
    report = _verified(lake, reference, listener)
    done: dict[str, Repair] = {}
    for _ in range(_ROUNDS):
        made = repair(lake.store, source, str(repair_from), [*report.problems, *report.warnings])
        new = {fixed.key: fixed for fixed in made if fixed.key not in done}
        if not new:
            break
        done.update(new)
        report = _verified(lake, reference, listener)
    report.repaired = list(done.values())
    return report


def _source(place: str | Path) -> Store:
    """Open the store to repair from; a lake of which only objects are left will do."""
    from dataplat.lake.stores import open_store, uncached

    store = uncached(open_store(place))
    if next(iter(store.list("objects/", limit=1)), None) is None:
        raise LakeNotFound(f"there is no lake at {place} to repair from")
    return store


def _verified(lake: Lake, reference: str | None, listener: Listener | None) -> VerifyReport:
    meter = Meter(listener, stage="verifying")

    def told(nbytes: int, rows: int) -> None:
        meter.at_byte(nbytes, 0)
        meter.add_rows(rows - meter.rows)

    from dataplat.errors import IntegrityError, ObjectNotFound
    from dataplat.lake.stores import uncached

    store = uncached(lake.store)  # a copy on this machine says nothing of what the store holds
    check = Check(told=told, gone=Collected(store).__contains__)
    if reference is None:
        return verify_lake(store, check)

    try:
        version = lake[reference]
    except (IntegrityError, ObjectNotFound) as error:
        found = verify_lake(store, check)  # what it is cannot be told: its own way there is damaged
        return found if found.problems else VerifyReport(problems=[Problem(reference, "unreadable", str(error))])
    return verify_version(store, version.dataset, version.id, check)
