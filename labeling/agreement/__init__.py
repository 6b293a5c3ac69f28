"""How far people agree, beyond what chance alone would give: α, κ, spans, boxes, with intervals, and incrementally."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.labeling.agreement._alpha import krippendorff_alpha
    from dataplat.labeling.agreement._bootstrap import Interval, alpha_interval, cohen_interval, fleiss_interval
    from dataplat.labeling.agreement._coincidences import Coincidences
    from dataplat.labeling.agreement._kappa import Contingency, cohen_kappa, fleiss_kappa
    from dataplat.labeling.agreement._pairs import pairwise_kappa
    from dataplat.labeling.agreement._regions import RegionAgreement, box_agreement, span_agreement

_HOMES = {
    "Coincidences": "_coincidences",
    "Contingency": "_kappa",
    "Interval": "_bootstrap",
    "RegionAgreement": "_regions",
    "alpha_interval": "_bootstrap",
    "box_agreement": "_regions",
    "cohen_interval": "_bootstrap",
    "cohen_kappa": "_kappa",
    "fleiss_interval": "_bootstrap",
    "fleiss_kappa": "_kappa",
    "krippendorff_alpha": "_alpha",
    "pairwise_kappa": "_pairs",
    "span_agreement": "_regions",
}

__all__ = [
    "Coincidences",
    "Contingency",
    "Interval",
    "RegionAgreement",
    "alpha_interval",
    "box_agreement",
    "cohen_interval",
    "cohen_kappa",
    "fleiss_interval",
    "fleiss_kappa",
    "krippendorff_alpha",
    "pairwise_kappa",
    "span_agreement",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
