"""How far people agree, beyond what chance alone would give: α, κ, spans, boxes, with intervals, and incrementally."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.labeling.agreement._alpha import krippendorff_alpha
    from dataplat.labeling.agreement._coincidences import Coincidences

_HOMES = {
    "Coincidences": "_coincidences",
    "krippendorff_alpha": "_alpha",
}

__all__ = [
    "Coincidences",
    "krippendorff_alpha",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
