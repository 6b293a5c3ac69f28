"""On-demand features of a request: their expressions over the columns that were just made (PIT 25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataplat.feature_store.kernel.ondemand import Computed, typed
from dataplat.feature_store.online.raw import natural

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from dataplat.feature_store.online.plan import ServingPlan


class OnDemand:
    """Computes the on-demand features of a service.

    Attributes:
        kinds: the types of the columns that they read of views.
        made: those of the columns that they make.
    """

    def __init__(self, plan: ServingPlan) -> None:
        self.transforms = plan.transforms
        self.kinds = {name: plan.kinds[name] for name in plan.transforms.features}
        nothing: dict[str, list[Any]] = {name: [] for name in (*self.kinds, *plan.transforms.request)}
        frame = self._computed(nothing, nothing).frame
        self.made: dict[str, pa.DataType] = {series.name: series.to_arrow().type for series in frame.get_columns()}

    def columns(
        self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]]
    ) -> tuple[dict[str, list[Any]], dict[str, list[int]]]:
        """Return their values, and the codes of their statuses."""
        found = self._computed(raw, request)
        columns = {series.name: _values(series) for series in found.frame.get_columns()}
        return columns, {name: codes.tolist() for name, codes in found.statuses.items()}

    def _computed(self, raw: Mapping[str, Sequence[Any]], request: Mapping[str, Sequence[Any]]) -> Computed:
        import polars as pl
        import pyarrow as pa

        given = typed(request, self.transforms.request)
        columns = {name: natural(raw[name], kind) for name, kind in self.kinds.items()}
        columns |= {name: given.column(name) for name in given.schema.names}
        frame = pl.from_arrow(pa.table(columns))
        assert isinstance(frame, pl.DataFrame)
        return self.transforms.compute(frame)


def _values(series: pl.Series) -> list[Any]:
    """Return values as records have them."""
    import pyarrow as pa

    column = series.to_arrow()
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    found: list[Any] = column.to_pylist()
    return found
