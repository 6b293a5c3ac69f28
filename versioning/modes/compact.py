"""Compact: runs of parts become fewer, without the rows deleted from them; the rows and their order stay.

What was written is read back, and its digest must be that of the rows that were to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from dataplat.errors import IntegrityError
from dataplat.lake.content_id import digest
from dataplat.lake.digest import Digest
from dataplat.lake.engine import Engine, Local
from dataplat.lake.objects import Objects, Stage
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import scan
from dataplat.versioning.compact import Rewrite, Run, Target, live_bytes, spread, used_places
from dataplat.versioning.content import digest_of_live

if TYPE_CHECKING:
    from dataplat.lake.part import Part
    from dataplat.versioning.modes._base import Base


def rewrite_runs(
    base: Base,
    runs: Sequence[Run],
    target: Target,
    told: Callable[[int], object] | None = None,
    engine: Engine | None = None,
) -> Iterator[Rewrite]:
    """Write the live rows of each run as parts of the `target` size, and check them.

    Rows keep their order, which lets deletes of others follow them; so the parts of a dataset with sort columns
    are sorted piecewise, each piece as long as the part it came from. `told` hears of the rows written. Of an
    `engine` (None: this process) each task writes about one part.

    Raises:
        IntegrityError: The rows written are not those that were there. Nothing may be committed.
    """
    written: Iterator[list[Part]]
    if here := engine is None or isinstance(engine, Local):
        written = map(partial(_rewrite_here, base, target, told), runs)
    else:
        written = _elsewhere(base, runs, target, engine)
    for run, outputs in zip(runs, written, strict=True):
        if told is not None and not here:
            told(run.rows)
        first = run.parts[0].place
        places = spread(first, run.end, len(outputs), used_places(base.manifest, first, run.end)) if outputs else []
        if places is not None:  # else there is no room between its neighbours: it stays as it is
            placed = tuple(replace(part, place=place) for part, place in zip(outputs, places, strict=True))
            yield Rewrite(run.parts, placed, run.end)


def _rewrite_here(base: Base, target: Target, told: Callable[[int], object] | None, run: Run) -> list[Part]:
    outputs = _write(base, run, target, told)
    _check(base, run, outputs)
    return outputs


def _elsewhere(base: Base, runs: Sequence[Run], target: Target, engine: Engine) -> Iterator[list[Part]]:
    """Yield what tasks wrote of each run, which is in the store; what one wrote in vain nothing names."""
    groups = [filled([replace(part, stats={}) for part in run.parts], target) for run in runs]  # none is asked for
    rewriting = Rewriting(Objects(base.objects.store), base.manifest.id, target)
    written = engine.map(rewriting, [group for run in groups for group in run])
    for run in groups:
        outputs: list[Part] = []
        for found in islice(written, len(run)):
            for part in found.parts:
                base.stage.adopt(part.id, ".parquet", part.size)
            base.stage.written_bytes += found.nbytes
            outputs += found.parts
        yield outputs


def filled(parts: Sequence[Part], target: Target) -> list[tuple[Part, ...]]:
    """Return neighbours together, as many as fill a part of the `target` size."""
    groups: list[tuple[Part, ...]] = []
    rows = nbytes = 0
    for part in parts:
        rows, nbytes = rows + part.live, nbytes + live_bytes(part)
        if groups and rows <= target.rows and nbytes <= target.nbytes:
            groups[-1] = (*groups[-1], part)
        else:
            groups.append((part,))
            rows, nbytes = part.live, live_bytes(part)
    return groups


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The parts that a task wrote, and bytes that were not in the store before."""

    parts: list[Part]
    nbytes: int


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Writes rows of parts of a version anew, where it is called: they are in the store when it returns."""

    objects: Objects
    version: str
    target: Target

    def __call__(self, parts: Sequence[Part]) -> Rewritten:
        """Write the live rows of `parts`, and check them."""
        from dataplat.versioning.manifest import load_manifest
        from dataplat.versioning.modes._base import Base

        manifest, store = load_manifest(self.objects, self.version), self.objects.store
        with Stage(store) as stage:
            base = Base(manifest, manifest.schema, manifest.key, manifest.sort, Objects(store, stage), stage)
            outputs = _rewrite_here(base, self.target, None, Run(tuple(parts), -1))
            stage.flush()
            return Rewritten(outputs, stage.written_bytes)


def _write(base: Base, run: Run, target: Target, told: Callable[[int], object] | None) -> list[Part]:
    writer = PartWriter(
        base.stage,
        base.schema,
        key=(*base.key, *base.sort),  # statistics are kept of both; nothing is sorted
        target_rows=target.rows,
        target_bytes=target.nbytes,
    )
    with writer:
        for batch in scan(base.objects, run.parts, base.schema):
            writer.write(batch)
            if told is not None:
                told(batch.num_rows)
        return writer.close()


def _check(base: Base, run: Run, outputs: Sequence[Part]) -> None:
    expected = sum((digest_of_live(base.objects, base.manifest, part) for part in run.parts), Digest())
    written = digest(scan(base.objects, outputs, base.schema))
    if written != expected:
        message = (
            f"a compaction of {len(run.parts)} parts from {run.parts[0].id[:12]} on wrote other rows than they hold "
            f"({written.encode()} instead of {expected.encode()}). Nothing was committed, the version is as it was. "
            "Run `dataplat version verify`."
        )
        raise IntegrityError(message)
