"""Profiles: what columns hold, in summaries that are merged and not computed again."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.validation.profile._column import ColumnProfile
    from dataplat.validation.profile._profile import Profile

__all__ = ["ColumnProfile", "Profile"]

_HOMES = {"ColumnProfile": "_column", "Profile": "_profile"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
