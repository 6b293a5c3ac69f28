"""Names of branches, tags and datasets: which are allowed, and how they are spelled in keys of a store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize
from urllib.parse import quote

from dataplat.errors import BadName

EXPORTED: Final = "exported/"
"""How tags begin that keep the parts of what was exported in place; they end with digits of the version's id."""

TAG_DIGITS: Final = 12
"""How many digits of a version's id such a tag ends with."""

_FORBIDDEN: Final = frozenset('@~:"\\*?<>|^')
_HEX: Final = re.compile(r"[0-9a-f]{7,}", re.IGNORECASE)
_DATE: Final = re.compile(r"\d{4}-\d{2}(-\d{2}.*)?")
_LONGEST: Final = 200
"""Bytes of the spelled name: a file name may have 255, and a suffix has to fit."""


def check_branch_name(name: str) -> str:
    """Return `name`, normalised to NFC; raise `BadName` where it may not be given to a branch."""
    return _check_ref(name, "branch")


def check_tag_name(name: str) -> str:
    """Return `name`, normalised to NFC; raise `BadName` where it may not be given to a tag."""
    return _check_ref(name, "tag")


def without_space(name: str, kind: str) -> str:
    """Return the name of a new branch or tag; raise `BadName` if white space is in it. Older ones stay readable."""
    if any(letter.isspace() for letter in name):
        raise BadName(
            f"{name!r} cannot name a {kind}: it holds white space, which a shell takes for two words; use '-'"
        )
    return name


def check_dataset_name(name: str) -> str:
    """Return `name`, normalised to NFC; raise `BadName` where it may not be given to a dataset."""
    return _check(name, "dataset")


@lru_cache(maxsize=1024)
def segment(name: str) -> str:
    """Return the one key segment that a name is stored under; names that differ only in case share it."""
    return quote(_folded(name), safe="").replace("~", "%7E")


def same_name(one: str, other: str) -> bool:
    """Return whether two names are the same name, case aside."""
    return _folded(one) == _folded(other)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of a message about a missing `name`: which of `names` may have been meant, or what there is."""
    known = list(names)
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    return f"; there are {', '.join(map(repr, known[:10]))}" if known else ""


def _folded(name: str) -> str:
    return normalize("NFC", normalize("NFC", name).casefold())


def _check_ref(name: str, kind: str) -> str:
    name = _check(name, kind)
    if _HEX.fullmatch(name):
        raise BadName(f"{kind} name {name!r} looks like an id (seven or more hex digits): choose another")
    if _DATE.fullmatch(name):
        raise BadName(f"{kind} name {name!r} looks like a date: put a letter before it, as in 'release-{name}'")
    return name


def _check(name: str, kind: str) -> str:
    name = normalize("NFC", name)
    reason = _reason(name)
    if reason:
        raise BadName(f"{name!r} cannot name a {kind}: {reason}")
    if len(segment(name)) > _LONGEST:
        raise BadName(f"{kind} name {name[:40]!r}… is too long: at most {_LONGEST} bytes once percent-encoded")
    return name


def _reason(name: str) -> str | None:
    """Return why a name is refused, or None."""
    if not name:
        return "it is empty"
    if name != name.strip():
        return "it begins or ends with white space"
    if any(category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in name):
        return "it holds a control character"
    if name.startswith("-"):
        return "a leading '-' reads as a flag"
    found = next((letter for letter in name if letter in _FORBIDDEN), None)
    if found is not None:
        return f"{found!r} has a meaning of its own in references"
    if any(piece in {"", ".", ".."} for piece in name.split("/")):
        return "a piece between slashes is empty, '.' or '..'"
    return None
