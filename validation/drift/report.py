"""What a comparison found, column by column, for people, programs and pages."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from dataplat.validation.drift._shape import Shape

Verdict: TypeAlias = Literal["drift", "none", "undecided", "not comparable"]
ORDER: Final[tuple[Verdict, ...]] = ("drift", "not comparable", "undecided", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """One column, of all rows or of one slice.

    `statistic` is as SciPy has it; `effect` is it on the scale of `min_effect`, what chance is expected to add taken
    out; `low` and `high` are the effects that the data leave open, all columns of the report taken together; `p_value`
    is the chance of such a distance between equal distributions, `p_adjusted` as it counts in the report (Holm). `error`
    is how far the effect may be off because quantiles stood for values. `history` is how many batches said what is
    usual (0: none, rows are taken to be independent). `psi` is there whatever the method is.
    """

    column: str
    slice: str | None = None
    kind: str = ""
    method: str = ""
    statistic: float = math.nan
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    min_effect: float = math.nan
    p_value: float = math.nan
    p_adjusted: float = math.nan
    psi: float = math.nan
    error: float = 0.0
    history: int = 0
    rows: tuple[int, int] = (0, 0)
    nulls: tuple[int, int] = (0, 0)
    verdict: Verdict
    detail: str = ""
    shape: Shape | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON; what was not measured is None."""
        found = {name: _plain(value) for name, value in asdict(self).items() if name != "shape"}
        if self.shape is not None:
            found["bins"] = [
                {"bin": label, "before": before, "after": after}
                for label, before, after in zip(self.shape.labels, self.shape.before, self.shape.after, strict=True)
            ]
        return found

    def line(self) -> str:
        """Return it as one line for people."""
        name = self.column if self.slice is None else f"{self.column} [{self.slice}]"
        if not self.method:
            return f"{self.verdict:<14}  {name}: {self.detail}"
        told = f"{self.method} {self.effect:.4f}, between {self.low:.4f} and {self.high:.4f} (counts from {self.min_effect:g})"
        tail = f"; {self.detail}" if self.detail else ""
        return f"{self.verdict:<14}  {name}: {told}, p {self.p_adjusted:.2g}, PSI {self.psi:.4f}{tail}"


@dataclass(frozen=True, slots=True, repr=False)
class DriftReport:
    """A comparison of two sides, `before` (the reference) and `after`.

    `new_columns` are on the second side only: there is nothing to compare them with. `alpha` is the chance of any false
    alarm in the whole report.
    """

    before: str
    after: str
    columns: tuple[ColumnDrift, ...]
    new_columns: tuple[str, ...] = ()
    alpha: float = 0.05

    @property
    def ok(self) -> bool:
        """Whether there are columns, none drifts and every one could be compared; undecided ones do not count against it."""
        return bool(self.columns) and all(column.verdict in {"none", "undecided"} for column in self.columns)

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that drift, the greatest effect in units of what counts first."""
        found = (column for column in self.columns if column.verdict == "drift")
        return tuple(sorted(found, key=lambda column: -column.effect / (column.min_effect or 1)))

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many columns have which verdict."""
        counted = Counter(column.verdict for column in self.columns)
        return {verdict: counted[verdict] for verdict in ORDER if counted[verdict]}

    @property
    def summary(self) -> str:
        """What was found, as one line."""
        told = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items()) or "no column to compare"
        return f"{self.before} → {self.after}: {told}"

    def lines(self) -> list[str]:
        """Return it as lines for people: what drifts comes first."""
        ranked = sorted(self.columns, key=lambda column: ORDER.index(column.verdict))
        new = [f"  new            {name}: there is no such column before" for name in self.new_columns]
        return [self.summary, *(f"  {column.line()}" for column in ranked), *new]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "ok": self.ok,
            "alpha": self.alpha,
            "counts": self.counts,
            "columns": [column.to_dict() for column in self.columns],
            "new_columns": list(self.new_columns),
        }

    def to_html(self) -> str:
        """Return it as one page that needs no network: histograms side by side, and every figure in a table."""
        from dataplat.validation.drift._page import page

        return page(self)

    def _repr_html_(self) -> str:
        from dataplat.validation.drift._page import fragment

        return fragment(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return str(self)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
