"""In which order questions are asked: by what a model is unsure of, by what is new, by chance, or by any SQL.

An order that samples draws tasks at rates that follow its scores and never are nothing, so that each has a known
chance to be asked and what is labelled speaks for all of them (`dataplat.labeling.estimate`). A fixed one asks the
highest score first; from what it asked first nothing follows for the rest.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.labeling.order._context import Context, Rows
    from dataplat.labeling.order._parse import parse_order
    from dataplat.labeling.order._plan import plan
    from dataplat.labeling.order._policies import (
        Order,
        committee,
        corrections,
        diversity,
        drift_slice,
        fixed,
        order_from,
        outliers,
        random,
        sql,
        uncertainty,
    )
    from dataplat.labeling.order._scores import scores

_HOMES = {
    "Context": "_context",
    "Order": "_policies",
    "Rows": "_context",
    "committee": "_policies",
    "corrections": "_policies",
    "diversity": "_policies",
    "drift_slice": "_policies",
    "fixed": "_policies",
    "order_from": "_policies",
    "outliers": "_policies",
    "parse_order": "_parse",
    "plan": "_plan",
    "random": "_policies",
    "scores": "_scores",
    "sql": "_policies",
    "uncertainty": "_policies",
}

__all__ = [
    "Context",
    "Order",
    "Rows",
    "committee",
    "corrections",
    "diversity",
    "drift_slice",
    "fixed",
    "order_from",
    "outliers",
    "parse_order",
    "plan",
    "random",
    "scores",
    "sql",
    "uncertainty",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
