"""What people say of data: queues, Label Studio, agreement, consensus, weak labels."""

from typing import TYPE_CHECKING, Any

if not __name__.startswith("dataplat."):  # a second copy of every class would differ from the first
    raise ImportError("import it as dataplat.labeling: the repository root on sys.path gives a second copy")

if TYPE_CHECKING:
    from dataplat.labeling.agreement import (
        alpha_interval,
        box_agreement,
        cohen_interval,
        cohen_kappa,
        fleiss_interval,
        fleiss_kappa,
        krippendorff_alpha,
        pairwise_kappa,
        span_agreement,
    )
    from dataplat.labeling.weak import labeling_function, weak_labels

_HOMES = {"labeling_function": "weak", "weak_labels": "weak"} | dict.fromkeys(
    (
        "alpha_interval",
        "box_agreement",
        "cohen_interval",
        "cohen_kappa",
        "fleiss_interval",
        "fleiss_kappa",
        "krippendorff_alpha",
        "pairwise_kappa",
        "span_agreement",
    ),
    "agreement",
)

__all__ = [
    "alpha_interval",
    "box_agreement",
    "cohen_interval",
    "cohen_kappa",
    "fleiss_interval",
    "fleiss_kappa",
    "krippendorff_alpha",
    "labeling_function",
    "pairwise_kappa",
    "span_agreement",
    "weak_labels",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
