"""Compaction as users ask for it, and as it happens by itself after small commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataplat.errors import CommitConflict, ConfigError, DataplatError, DatasetNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataplat._lake import Lake
    from dataplat._version import Version
    from dataplat.ingest._progress import Listener
    from dataplat.lake.engine import Engine
    from dataplat.versioning.commit import Commit
    from dataplat.versioning.compact import Rewrite, Run, Target
    from dataplat.versioning.manifest import Manifest

AUTO_MESSAGE = "auto-compaction"


@dataclass(frozen=True, slots=True)
class CompactPlan:
    """What a compaction would do: `runs` of adjacent parts (each a list of part ids) would be written anew.

    `nbytes` and `rows` (those that count) would be read; `folded` deleted rows would go from the parts.
    """

    dataset: str
    branch: str
    version: str
    parts: int
    runs: tuple[tuple[str, ...], ...]
    nbytes: int
    rows: int
    folded: int

    @property
    def nothing_to_do(self) -> bool:
        """Whether all parts are as they should be."""
        return not self.runs

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "version": self.version,
            "parts": self.parts,
            "runs": [list(run) for run in self.runs],
            "bytes": self.nbytes,
            "rows": self.rows,
            "folded": self.folded,
        }


@dataclass(frozen=True, slots=True)
class CompactResult:
    """What a compaction did; `commit` is None where nothing was to do, or somebody else was faster (see `notes`).

    `replaced` parts became `written`; the version has `parts` now, and the rows that it had. `new_bytes` were
    written to the store.
    """

    dataset: str
    branch: str
    commit: str | None
    version: Version
    replaced: int = 0
    written: int = 0
    new_bytes: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> int:
        """Parts of the version."""
        return self.version.manifest.n_parts

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "dataset": self.dataset,
            "branch": self.branch,
            "commit": self.commit,
            "version": self.version.id,
            "rows": self.version.rows,
            "parts": self.parts,
            "replaced": self.replaced,
            "written": self.written,
            "new_bytes": self.new_bytes,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def plan_compact(lake: Lake, dataset: str, branch: str, target_bytes: int | None) -> CompactPlan:
    """Return what `compact` would do; reads the manifest only."""
    manifest = _manifest(lake, dataset, branch, lake.refs.head(branch).commit)
    runs = _runs(manifest, _target(target_bytes))
    parts = [part for run in runs for part in run.parts]
    return CompactPlan(
        dataset=dataset,
        branch=branch,
        version=manifest.id,
        parts=manifest.n_parts,
        runs=tuple(tuple(part.id for part in run.parts) for run in runs),
        nbytes=sum(part.size for part in parts),
        rows=sum(part.live for part in parts),
        folded=sum(part.deleted for part in parts),
    )


def compact(
    lake: Lake,
    dataset: str,
    branch: str,
    target_bytes: int | None,
    message: str,
    progress: Listener | None,
    engine: str | Engine = "local",
) -> CompactResult:
    """Rewrite small parts and parts with many deleted rows; changes that others make meanwhile win."""
    from dataplat._engine import engine_of
    from dataplat.ingest._progress import Meter
    from dataplat.versioning._outrun import outrun

    meter = Meter(progress)
    meter.stage = "compacting"
    target = _target(target_bytes)
    head = lake.refs.head(branch).commit
    manifest = _manifest(lake, dataset, branch, head)
    runs = _runs(manifest, target)
    works = engine_of(engine, lake)
    if not runs:
        note = "all parts are as they should be: nothing was rewritten"
        return CompactResult(dataset, branch, None, lake.version(dataset, branch), notes=(note,))
    try:
        with outrun(lake.refs, branch, head.id):
            made, rewrites, written = _rewrite(
                lake, dataset, branch, manifest, runs, target, message, told=meter.add_rows, engine=works
            )
    except CommitConflict as error:
        return CompactResult(
            dataset, branch, None, lake.version(dataset, branch), seconds=meter.seconds, notes=(str(error),)
        )
    return CompactResult(
        dataset=dataset,
        branch=branch,
        commit=made.id,
        version=lake.version(dataset, branch, made),
        replaced=sum(len(rewrite.inputs) for rewrite in rewrites),
        written=sum(len(rewrite.outputs) for rewrite in rewrites),
        new_bytes=written,
        seconds=meter.seconds,
    )


def auto_compact(lake: Lake, dataset: str, branch: str, manifest: Manifest, added: int) -> str | None:
    """Compact the newest parts of `manifest`, just committed with `added` new parts, where it is time to.

    Return a note where it went wrong: the commit before it stands, whatever happens here.
    """
    from dataplat.config import load
    from dataplat.versioning.compact import Target, is_due, plan_tail, tail_parts

    if not is_due(manifest.root, added):
        return None
    try:
        if not load().compact:
            return None
        runs = plan_tail(tail_parts(manifest), manifest.root.next)
        if runs:
            _rewrite(lake, dataset, branch, manifest, runs, Target(), AUTO_MESSAGE)
    except CommitConflict:  # somebody else was faster
        return None
    except (DataplatError, OSError) as error:
        return f"{dataset} was not compacted: {error}"
    return None


def _rewrite(
    lake: Lake,
    dataset: str,
    branch: str,
    manifest: Manifest,
    runs: Sequence[Run],
    target: Target,
    message: str,
    *,
    told: Any = None,
    engine: Engine | None = None,
) -> tuple[Commit, list[Rewrite], int]:
    from dataplat.lake.objects import Objects, Stage
    from dataplat.versioning.compact import edit_of
    from dataplat.versioning.modes import Base
    from dataplat.versioning.modes.compact import rewrite_runs
    from dataplat.versioning.publish import PlannedChange, commit

    with Stage(lake.store) as stage:
        objects = Objects(lake.store, stage)
        base = Base(manifest, manifest.schema, manifest.key, manifest.sort, objects, stage)
        rewrites = list(rewrite_runs(base, runs, target, told, engine))
        if not rewrites:
            raise CommitConflict(f"there is no place between the parts of {dataset!r} to compact them into")
        change = PlannedChange(
            dataset=dataset,
            mode="compact",
            base_version=manifest.id,
            edit=edit_of(rewrites, manifest.digest),
            rewrites=tuple(rewrites),
        )
        made = commit(lake.io, branch, [change], stage, message=message)
        return made, rewrites, stage.written_bytes


def _runs(manifest: Manifest, target: Target) -> list[Run]:
    from dataplat.versioning.compact import plan_runs

    return plan_runs(manifest.parts(), manifest.root.next, target)


def _target(target_bytes: int | None) -> Target:
    from dataplat.versioning.compact import Target

    if target_bytes is None:
        return Target()
    if target_bytes < 1:
        raise ConfigError(f"the size of parts must be at least 1 byte, and is {target_bytes}")
    return Target(nbytes=target_bytes)


def _manifest(lake: Lake, dataset: str, branch: str, head: Commit) -> Manifest:
    from dataplat.versioning.manifest import load_manifest

    state = head.dataset(dataset, lake.objects.read)
    if state is None or state.version is None:
        names = ", ".join(info.name for info in lake.datasets(branch)) or "none"
        raise DatasetNotFound(f"there is no dataset {dataset!r} on branch {branch}; there are: {names}")
    return load_manifest(lake.objects, state.version)
