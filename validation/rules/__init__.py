"""Checks of a dataset as a whole, beside those of pandera: declared in a contract, settled from what is known of parts."""

from typing import TYPE_CHECKING, Any

from dataplat.validation.rules._rule import Context, Rule

if TYPE_CHECKING:
    from dataplat.validation.rules._distinct_share import distinct_share
    from dataplat.validation.rules._foreign_key import foreign_key
    from dataplat.validation.rules._freshness import freshness
    from dataplat.validation.rules._mean import mean
    from dataplat.validation.rules._no_drift import no_drift
    from dataplat.validation.rules._null_share import null_share
    from dataplat.validation.rules._quantile import quantile
    from dataplat.validation.rules._row_count import row_count
    from dataplat.validation.rules._sql_check import sql_check
    from dataplat.validation.rules._unique import unique

__all__ = [
    "Context",
    "Rule",
    "distinct_share",
    "foreign_key",
    "freshness",
    "mean",
    "no_drift",
    "null_share",
    "quantile",
    "row_count",
    "sql_check",
    "unique",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}._{name}"), name)


def __dir__() -> list[str]:
    return __all__
