"""Links to pictures and sounds that tasks show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat._labels._state import State


def media_links(state: State, row: dict[str, Any], column: str) -> str:
    """Return a link that is good for a while; what is on the web already is as it is."""
    value = json.loads(row["data"])[column]
    if isinstance(value, str) and value.startswith(("http://", "https://", "data:")):
        return value
    from dataplat.labeling.serve import media_link

    return media_link(state.lake.url, state.name, state.branch, row["task"], column, state.spec.media_for)
