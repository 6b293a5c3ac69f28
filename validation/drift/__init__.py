"""How far apart two sides of data are, column by column, and whether that is drift.

The statistics are those of the field, the decision is not: an interval of the effect is held against the least effect
that counts, for all columns together, so that a million rows do not make a drift of nothing and a hundred do not make
none of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.validation.drift._column import kind_of
    from dataplat.validation.drift._compare import Pair, Question, compare, drift_between
    from dataplat.validation.drift._history import Usual, usual_of
    from dataplat.validation.drift._past import usual_in
    from dataplat.validation.drift._profiled import ProfileColumns
    from dataplat.validation.drift._slices import Slices, slices_of
    from dataplat.validation.drift._table import TableColumns
    from dataplat.validation.drift.report import ColumnDrift, DriftReport

_HOMES = {
    "ColumnDrift": "report",
    "DriftReport": "report",
    "Pair": "_compare",
    "ProfileColumns": "_profiled",
    "Question": "_compare",
    "Slices": "_slices",
    "TableColumns": "_table",
    "Usual": "_history",
    "compare": "_compare",
    "drift_between": "_compare",
    "kind_of": "_column",
    "slices_of": "_slices",
    "usual_in": "_past",
    "usual_of": "_history",
}

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "Pair",
    "ProfileColumns",
    "Question",
    "Slices",
    "TableColumns",
    "Usual",
    "compare",
    "drift_between",
    "kind_of",
    "slices_of",
    "usual_in",
    "usual_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
