"""Rows that lie far from the others, each with its reason."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.validation.outliers._find import BOUNDS, find_outliers

__all__ = ["BOUNDS", "find_outliers"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dataplat.validation.outliers import _find

    return getattr(_find, name)


def __dir__() -> list[str]:
    return __all__
