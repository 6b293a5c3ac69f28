"""On-demand features of a request: their expressions over the columns that were just made (PIT 25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataplat.feature_store.kernel.ondemand import Computed, typed
from dataplat.feature_store.online.raw import natural

if TYPE_CHECKING:
    from dataplat.feature_store.online.plan import ServingPlan


class OnDemand:
    """Computes the on-demand features of a service."""

    def __init__(self, plan: ServingPlan) -> None:
        self.transforms = plan.transforms
        kinds = plan.kinds
        self.kinds = {name: kinds[name] for name in plan.transforms.features}

    def columns(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], rows: int
    ) -> dict[str, list[Any]]:
        """Return their values."""
        frame = self._computed(raw, request, rows).frame
        return {series.name: series.to_arrow().to_pylist() for series in frame.get_columns()}

    def statuses(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], rows: int
    ) -> dict[str, list[int]]:
        """Return the codes of their statuses."""
        return {name: codes.tolist() for name, codes in self._computed(raw, request, rows).statuses.items()}

    def _computed(self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]], rows: int) -> Computed:
        import polars as pl
        import pyarrow as pa

        _ = rows
        given = typed(request, self.transforms.request)
        columns = {name: natural(raw[name], kind) for name, kind in self.kinds.items()}
        columns |= {name: given.column(name) for name in given.schema.names}
        frame = pl.from_arrow(pa.table(columns))
        assert isinstance(frame, pl.DataFrame)
        return self.transforms.compute(frame)
