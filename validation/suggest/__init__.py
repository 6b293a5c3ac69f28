"""Contracts inferred from what data was, each rule with the false alarms that it would have raised on the way."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.validation.suggest._suggest import Suggested, Suggestion, suggest
    from dataplat.validation.suggest._text import source_text

__all__ = ["Suggested", "Suggestion", "source_text", "suggest"]

_HOMES = {"Suggested": "_suggest", "Suggestion": "_suggest", "source_text": "_text", "suggest": "_suggest"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
