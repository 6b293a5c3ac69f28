"""Links to pictures and sounds that tasks show."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dataplat._labels._state import State

_ITEM: Final = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)


def media_links(state: State, row: dict[str, Any], column: str) -> str:
    """Return a link that is good for a while; what is on the web already is as it is."""
    value = named(json.loads(row["data"]), column)
    if isinstance(value, str) and value.startswith(("http://", "https://", "data:")):
        return value
    from dataplat.labeling.serve import media_link

    return media_link(state.lake.url, state.name, state.branch, row["task"], column, state.spec.media_for)


def named(data: Mapping[str, Any], column: str) -> Any:
    """Return what a task's data holds in a column, or in an item of one that is a list (`pages[2]`); None: nothing."""
    item = None if column in data else _ITEM.fullmatch(column)
    if item is None:
        return data.get(column)
    value, number = data.get(item[1]), int(item[2])
    return value[number] if isinstance(value, list) and number < len(value) else None


def column_of(name: str) -> str:
    """Return the column that `pages[2]` is an item of."""
    item = _ITEM.fullmatch(name)
    return name if item is None else item[1]
