"""What a collection would do and did, and who needs which bytes, as plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import DatasetNotFound
from dataplat.versioning.gc._retention import ALL, KEEP, Rule, span
from dataplat.versioning.gc.collect import Collected, Options, collect, look
from dataplat.versioning.gc.du import Use, use
from dataplat.versioning.history import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataplat._lake import Lake
    from dataplat.ingest._progress import Listener
    from dataplat.versioning.gc.collect import Look
    from dataplat.versioning.refs import Record

_RACES = 50


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What a collection would delete: objects and their bytes, memos, and versions by dataset.

    `young` objects nothing needs either, but they are younger than the grace. `use` is there where it was asked for.
    """

    objects: int
    nbytes: int
    memos: int
    versions: dict[str, int]
    staying: int
    young: int
    young_bytes: int
    leases: tuple[str, ...]
    deleted_branches: tuple[str, ...]
    expired_tags: tuple[str, ...]
    use: Use | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        found = _plain(self)
        return {name: value for name, value in found.items() if name != "use"} | (
            {} if self.use is None else {"explained": use_dict(self.use)}
        )


@dataclass(frozen=True, slots=True)
class GcResult:
    """What a collection deleted, and what it left because it is young."""

    plan: GcPlan
    done: Collected

    @property
    def nbytes(self) -> int:
        """Bytes of objects that were deleted."""
        return self.done.nbytes

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"plan": self.plan.to_dict(), **_plain(self.done)}


def use_dict(found: Use) -> dict[str, Any]:
    """Return who needs which bytes as plain values."""
    values = _plain(found)
    values["datasets"] = [_plain(dataset) for dataset in found.datasets]
    values["versions"] = [_plain(version) for version in found.versions]
    for version in values["versions"]:
        version["created"] = moment(version.pop("time")).isoformat()
    return values


def _plain(found: Any) -> dict[str, Any]:
    """Return a dataclass as a dictionary, in which bytes are called so, as everywhere in JSON."""
    return {"bytes" if name == "nbytes" else name: value for name, value in asdict(found).items()}


def _options(keep: str | None, grace: str, listener: Listener | None) -> Options:
    rule = ALL if keep is None else Rule.parse(keep).text
    if listener is None:
        return Options(rule, span(grace))
    from dataplat.ingest._progress import Meter

    meter = Meter(listener)

    def told(stage: str, done: int, total: int) -> None:
        if meter.stage != stage:
            meter.enter(stage)
        meter.rows = done
        meter.add_rows(0)
        meter.at_byte(0, total * 0)

    return Options(rule, span(grace), listener=told)


def _planned(lake: Lake, seen: Look, *, explain: bool) -> GcPlan:
    fates = list(seen.survey.fates.values())
    going = Counter(fate.dataset for fate in fates if not fate.stays and fate.version not in seen.gone)
    now = lake.refs.now()
    return GcPlan(
        objects=len(seen.candidates),
        nbytes=sum(info.size for info in seen.candidates),
        memos=len(seen.dead_memos),
        versions=dict(sorted(going.items())),
        staying=sum(fate.stays for fate in fates),
        young=len(seen.young),
        young_bytes=sum(info.size for info in seen.young),
        leases=tuple(sorted(lease.file.actor for lease in seen.survey.leases if lease.holds(now))),
        deleted_branches=tuple(sorted({record.branch for record in seen.survey.deleted})),
        expired_tags=tuple(tag.name for tag in seen.survey.tags if 0 < tag.expires <= now),
        use=use(lake.objects, seen) if explain else None,
    )


def plan_gc(lake: Lake, keep: str | None, grace: str, listener: Listener | None, *, explain: bool) -> GcPlan:
    """Look, and touch nothing."""
    return _planned(lake, look(lake.objects, lake.refs, _options(keep, grace, listener)), explain=explain)


def gc(
    lake: Lake,
    keep: str | None,
    grace: str,
    listener: Listener | None,
    *,
    explain: bool,
    planned: Callable[[GcPlan], object] | None,
) -> GcResult:
    """Look, say what was seen, and collect it."""
    options = _options(keep, grace, listener)
    seen = look(lake.objects, lake.refs, options)
    plan = _planned(lake, seen, explain=explain)
    if planned is not None:
        planned(plan)
    done = collect(lake.objects, lake.refs, options, seen=seen)
    lake.objects.forget()
    sweep = getattr(lake.store, "sweep", None)
    if sweep is not None:
        sweep()
    return GcResult(plan, done)


def du(lake: Lake, dataset: str | None, listener: Listener | None) -> Use:
    """Return who needs which bytes; of one dataset's versions, or of all."""
    from dataclasses import replace

    from dataplat.versioning.names import nearest

    found = use(lake.objects, look(lake.objects, lake.refs, _options(None, "0s", listener)))
    if dataset is None:
        return found
    versions = tuple(version for version in found.versions if version.dataset == dataset)
    if not versions:
        names = [known.dataset for known in found.datasets]
        raise DatasetNotFound(f"there is no dataset {dataset!r}{nearest(dataset, names)}")
    return replace(
        found,
        versions=versions,
        datasets=tuple(known for known in found.datasets if known.dataset == dataset),
    )


def keep(lake: Lake, branch: str, rule: str) -> Record:
    """Record in a branch's own log what collections keep of it."""
    from dataplat.errors import CommitConflict, ObjectExists

    text = Rule.parse(rule).text
    for _ in range(_RACES):
        head = lake.refs.head(branch)
        settings = {**head.settings, KEEP: text}
        try:
            return lake.refs.publish(
                branch, head, head.commit, kind="protect", message=f"keep {text}", settings=settings
            )
        except ObjectExists:
            continue
    raise CommitConflict(f"branch {branch!r} moved {_RACES} times while its rule was to be recorded; try again")
