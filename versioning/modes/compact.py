"""Compact: runs of parts become fewer, without the rows deleted from them; the rows and their order stay.

What was written is read back, and its digest must be that of the rows that were to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dataplat.errors import IntegrityError
from dataplat.lake.content_id import digest
from dataplat.lake.digest import Digest
from dataplat.lake.parts import PartWriter
from dataplat.lake.scan import scan
from dataplat.versioning.compact import Rewrite, Run, Target, spread, used_places
from dataplat.versioning.content import digest_of_live

if TYPE_CHECKING:
    from dataplat.lake.part import Part
    from dataplat.versioning.modes._base import Base


def rewrite_runs(
    base: Base, runs: Sequence[Run], target: Target, told: Callable[[int], object] | None = None
) -> Iterator[Rewrite]:
    """Write the live rows of each run as parts of the `target` size, and check them.

    Rows keep their order, which lets deletes of others follow them; so the parts of a dataset with sort columns
    are sorted piecewise, each piece as long as the part it came from. `told` hears of the rows written.

    Raises:
        IntegrityError: The rows written are not those that were there. Nothing may be committed.
    """
    for run in runs:
        outputs = _write(base, run, target, told)
        _check(base, run, outputs)
        first = run.parts[0].place
        places = spread(first, run.end, len(outputs), used_places(base.manifest, first, run.end)) if outputs else []
        if places is not None:  # else there is no room between its neighbours: it stays as it is
            placed = tuple(replace(part, place=place) for part, place in zip(outputs, places, strict=True))
            yield Rewrite(run.parts, placed, run.end)


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
