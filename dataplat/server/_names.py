"""Names that stand twice in one object of JSON: readers take the first, the last, or both, so a request with one is refused.

What RFC 8259 (section 4) leaves open msgspec settles by the last, in silence. Most bodies are seen to have none by
counting; only where a name may be a value as well, or is written with escapes, is the body read once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from dataplat.server._problems import Problem


class _Object(tuple[tuple[str, Any], ...]):
    """The members of an object, in their order; arrays are lists."""

    __slots__ = ()


def quoted(names: Iterable[str]) -> tuple[bytes, ...]:
    """Return names as JSON writes them."""
    return tuple(json.dumps(name, ensure_ascii=False).encode() for name in dict.fromkeys(names))


def check_once(body: bytes, names: Sequence[bytes], members: int | None = None) -> None:
    """Refuse a body that was read, if a name stands twice in one object of it.

    Args:
        body: the JSON.
        names: all that its objects may have, as `quoted` gives them.
        members: how many of all its objects there are; None: each name is of one object only.

    Raises:
        Problem: One stands there twice; it is named.
    """
    if b"\\" not in body:
        count = body.count
        if members is None:
            for name in names:
                if count(name) > 1:
                    break
            else:
                return
        elif sum(map(count, names)) == members:
            return
    try:
        where = _twice(json.loads(body, object_pairs_hook=_Object), "")
    except RecursionError as error:  # in what stood there first, and was not read
        raise Problem("malformed", "the body is nested too deeply") from error
    if where is not None:
        raise Problem("invalid", f"{where} stands there twice: nobody knows which one is meant", field=where)


def _twice(value: Any, where: str) -> str | None:
    """Return where a name stands for the second time; None where none does."""
    if value.__class__ is list:
        for at, each in enumerate(value):
            if each.__class__ in (list, _Object) and (found := _twice(each, f"{where}[{at}]")) is not None:
                return found
    elif value.__class__ is _Object:
        seen = set()
        for name, inner in value:
            place = f"{where}.{name}" if where else name
            if name in seen:
                return place
            seen.add(name)
            if inner.__class__ in (list, _Object) and (found := _twice(inner, place)) is not None:
                return found
    return None
