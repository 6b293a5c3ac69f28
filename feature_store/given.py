"""What declarations are given, looked at: another kind of value than is meant is said when it is declared, not rows later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataplat.errors import ConfigError


def text(given: Any, what: str) -> str:
    """Return a name that is given; raise `ConfigError` unless it is a string that is not empty."""
    if not isinstance(given, str) or not given:
        raise ConfigError(f"{what} is a name, and not {given!r}")
    return given


def several(given: Any, what: str, kinds: type | tuple[type, ...], meant: str) -> tuple[Any, ...]:
    """Return what is given as a tuple, one thing alone as one of it.

    Raises:
        ConfigError: One of it is of another kind; what is meant is said.
    """
    found = (given,) if isinstance(given, kinds) else tuple(given) if isinstance(given, Sequence) else (given,)
    for each in found:
        if not isinstance(each, kinds):
            raise ConfigError(f"{what} are {meant}, and not {each!r}")
    return found


def mapping(given: Any, what: str, meant: str) -> Mapping[Any, Any]:
    """Return a mapping that is given, of strings to strings."""
    if not isinstance(given, Mapping) or not all(isinstance(each, str) for pair in given.items() for each in pair):
        raise ConfigError(f"{what} maps {meant}, and is {given!r}")
    return given


def one_of(given: Any, what: str, words: Sequence[str]) -> Any:
    """Return one of some words."""
    if given not in words:
        raise ConfigError(f"{what} is {' or '.join(map(repr, words))}, and not {given!r}")
    return given


def count(given: Any, what: str) -> int:
    """Return a whole number from 1 on."""
    if type(given) is not int or given < 1:
        raise ConfigError(f"{what} is a whole number from 1 on, and not {given!r}")
    return given


def share(given: Any, what: str) -> float:
    """Return a number from 0 to 1."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise ConfigError(f"{what} is a number from 0 to 1, and not {given!r}")
    return given
