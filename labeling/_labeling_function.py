"""A rule of thumb that says of a row which label it has, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import polars as pl

from dataplat.errors import ConfigError, LabelError
from dataplat.lake.schema import did_you_mean
from dataplat.validation._rows import FAULTS, fault_text

Rule: TypeAlias = "Callable[[dict[str, Any]], Any]"

Place: TypeAlias = "Callable[[int], str]"
"""Says of a row of a frame where it is, for errors."""


@dataclass(frozen=True, slots=True)
class LabelingFunction:
    """A named rule; make one with `labeling_function`.

    Attributes:
        name: what the votes call it: it is their annotator.
        rule: a Python function of a row, or a Polars expression.
        label: what it votes for where the rule is true; None: the rule gives the label itself.
        columns: of a Python function, the columns that it is given; None: all.
    """

    name: str
    rule: Rule | pl.Expr
    label: str | None = None
    columns: tuple[str, ...] | None = None

    def __call__(self, row: dict[str, Any]) -> str | None:
        """Return what it says of one row."""
        if isinstance(self.rule, pl.Expr):
            label: str | None = self.votes(pl.DataFrame([row])).item()
            return label
        return self._meant(self.rule(row))

    def votes(self, frame: pl.DataFrame, place: Place = "row {}".format) -> pl.Series:
        """Return what it says of every row, as texts; null where it abstains.

        Args:
            frame: the rows.
            place: says where a row is, by its number, for errors.

        Raises:
            LabelError: It fails, or gives what is no label; says at which row.
        """
        if isinstance(self.rule, pl.Expr):
            return self._by_expression(self.rule, frame, place)
        names = frame.columns if self.columns is None else self.columns
        said = []
        self._look_for(names, frame)
        for number, row in enumerate(frame.select(names).iter_rows(named=True)):
            try:
                said.append(self._meant(self.rule(row)))
            except FAULTS as error:
                raise self._failed(place(number), error) from error
        return pl.Series(self.name, said, pl.String)

    def _meant(self, value: Any) -> str | None:
        """Return the label that a Python function means by what it returns."""
        if value is None:
            return None
        if self.label is not None:
            if value is True or value is False or type(value).__name__ == "bool":
                return self.label if value else None
            raise TypeError(f"{value!r} is neither true nor false, though it votes for {self.label!r}")
        if isinstance(value, str):
            return str(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise TypeError(f"{value!r} is no label: it gives a text, a whole number or None, or say label=")

    def _by_expression(self, rule: pl.Expr, frame: pl.DataFrame, place: Place) -> pl.Series:
        self._look_for([name for name in rule.meta.root_names() if not name.startswith("^")], frame)
        try:
            said = frame.select(rule.alias(self.name)).to_series()
        except FAULTS as error:
            raise self._failed(place(_first_failing(rule, frame)), error) from error
        if len(said) != frame.height:
            if len(said) != 1:
                raise LabelError(f"labeling function {self.name!r} gives {len(said)} values for {frame.height} rows")
            said = said.new_from_index(0, frame.height)
        return self._labels(said)

    def _labels(self, said: pl.Series) -> pl.Series:
        """Return the labels that the values of an expression mean."""
        if said.dtype == pl.Null:
            return said.cast(pl.String)
        if (said.dtype == pl.Boolean) != (self.label is not None):
            hint = "say label=, for which it votes where it is true" if self.label is None else "leave out label="
            raise LabelError(f"labeling function {self.name!r} gives {said.dtype}: {hint}")
        if self.label is not None:
            label = pl.when(said).then(pl.lit(self.label)).otherwise(None)
            return pl.select(label.alias(self.name)).to_series().cast(pl.String)
        if said.dtype.is_integer() or said.dtype in {pl.String, pl.Categorical} or isinstance(said.dtype, pl.Enum):
            return said.cast(pl.String)
        raise LabelError(f"labeling function {self.name!r} gives {said.dtype}, not texts or whole numbers")

    def _look_for(self, names: Sequence[str], frame: pl.DataFrame) -> None:
        for name in names:
            if name not in frame.columns:
                near = did_you_mean(name, frame.columns)
                raise LabelError(f"labeling function {self.name!r} asks for a column {name!r} that is not there{near}")

    def _failed(self, place: str, error: BaseException) -> LabelError:
        return LabelError(f"labeling function {self.name!r} failed at {place}: {fault_text(error)}")


@overload
def labeling_function(
    rule: Rule | pl.Expr, *, name: str | None = None, label: str | None = None, columns: Sequence[str] | None = None
) -> LabelingFunction: ...


@overload
def labeling_function(
    *, name: str | None = None, label: str | None = None, columns: Sequence[str] | None = None
) -> Callable[[Rule], LabelingFunction]: ...


def labeling_function(
    rule: Rule | pl.Expr | None = None,
    *,
    name: str | None = None,
    label: str | None = None,
    columns: Sequence[str] | None = None,
) -> LabelingFunction | Callable[[Rule], LabelingFunction]:
    """Make a rule of thumb a labelling function, also as a decorator.

        @labeling_function
        def rush(row): return "carrier" if row["dep_delay"] > 180 else None

        stormy = labeling_function(pl.col("wind_gust") > 40, label="weather", name="stormy")

    Args:
        rule: a Python function of a row (as a dict) that returns a label or None, or a Polars expression whose values
            are labels or null. With `label`: one that is true or false.
        name: what its votes are called by; None: the name of the function, or of the column that the expression gives.
        label: what it votes for where the rule is true; where it is false it abstains.
        columns: of a Python function, the columns that it is given; fewer are faster.

    Raises:
        ConfigError: The rule is neither.
    """
    if rule is None:
        return lambda given: labeling_function(given, name=name, label=label, columns=columns)
    if isinstance(rule, pl.Expr):
        return LabelingFunction(name or rule.meta.output_name(), rule, label, None)
    if not callable(rule):
        raise ConfigError(f"a labeling function is a Python function or a Polars expression, not {rule!r}")
    named = name or str(getattr(rule, "__name__", type(rule).__name__))
    return LabelingFunction(named, rule, label, None if columns is None else tuple(columns))


def _first_failing(rule: pl.Expr, frame: pl.DataFrame) -> int:
    """Return the first row at which an expression fails; 0 where it fails without rows, too."""
    low, high = 0, frame.height  # the first `low` rows pass, the first `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            frame.slice(low, middle - low).select(rule)
        except FAULTS:
            high = middle
        else:
            low = middle
    return low
