"""Rows of the version before that a source would only give again: they stay where they lie, and are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.connectors.source import SupportsHold
from dataplat.lake.scan import PART_COLUMN, ROW_COLUMN, scan
from dataplat.lake.schema import plain_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dataplat.connectors.source import Source, Split
    from dataplat.ingest._request import IngestRequest
    from dataplat.ingest._target import Target
    from dataplat.lake.part import Part
    from dataplat.versioning.modes import Base

Gone = list[tuple["Part", "NDArray[np.int64]"]]


def rows_that_go(
    request: IngestRequest, target: Target, base: Base, source: Source, splits: Sequence[Split]
) -> Gone | None:
    """Let the source hold what it knows; return where the other rows lie, or None where every row has to be compared.

    Only where all rows are replaced by those of a source that the version was read from, with the same columns, and no
    contract asks for a look at each row.
    """
    if (
        not request.replaces_all
        or request.contract is not None
        or target.manifest is None
        or not isinstance(source, SupportsHold)
        or not any(split.source in target.positions() for split in splits if split.skipped is None)
        or not plain_schema(target.manifest.schema).equals(source.schema())
        or (base.schema, base.key) != (target.manifest.schema, target.manifest.key)
    ):
        return None
    parts = target.manifest.parts()
    gone: Gone = []
    for rows in scan(
        base.objects, parts, base.schema, columns=source.known_columns, with_positions=True, batch_rows=None
    ):
        if rows.num_rows:  # all of one row group
            others = ~source.hold(rows)
            places = rows.column(ROW_COLUMN).to_numpy().astype("int64")
            gone.append((parts[rows.column(PART_COLUMN)[0].as_py()], places[others]))
    return gone
