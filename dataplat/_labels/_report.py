"""A page about a queue: how far it is, who agrees, and answers as people gave them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataplat.errors import DataplatError, LabelError

if TYPE_CHECKING:
    from dataplat._labels._state import State

_LARGEST: Final = 2_000_000
"""Bytes of a picture that the page holds; a larger one that cannot be made small is left out, its boxes are not."""
_EDGE: Final = 640
"""Pixels of the longer edge of a picture that was made small."""


def report(state: State, path: str | Path, shown: int) -> Path:
    """Write one HTML page about a queue; it needs no network."""
    from dataplat.labeling.page import page

    text = page(
        state.name,
        tasks=state.tasks,
        annotations=state.annotations.to_arrow(),
        regions=state.version("regions").to_arrow(),
        config=state.config,
        picture=lambda row, column: _picture(state, row, column),
        figures=_figures(state),
        shown=shown,
    )
    Path(path).write_text(text, "utf-8")
    return Path(path)


def _figures(state: State) -> list[tuple[str, str]]:
    """Return how far people agree, where two answered the same."""
    from dataplat._labels._agreement import agreement

    try:
        found = agreement(state, None, 200)
    except LabelError:
        return []
    told = [] if found.alpha is None else [(f"α ({found.level})", f"{found.alpha.value:.2f}")]
    named = (("spans", found.spans), ("boxes", found.boxes))
    return told + [(f"F1 of {name}", f"{each.f1:.2f}") for name, each in named if each is not None]


def _picture(state: State, row: dict[str, Any], column: str) -> str | None:
    """Return a task's picture as an address that holds it; None where it cannot be had."""
    from dataplat._labels._media_source import media_of
    from dataplat.labeling.serve.media import NoMedia

    value = json.loads(row["data"]).get(column)
    if isinstance(value, str) and value.startswith(("data:", "http://", "https://")):
        return value if value.startswith("data:") else None
    try:
        found = media_of(state, row, column)
        if not found.kind.startswith("image/"):
            return None
        kind, data = _small(found.kind, found.read(0, found.size))
    except (NoMedia, DataplatError, OSError):
        return None
    return None if len(data) > _LARGEST else f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _small(kind: str, data: bytes) -> tuple[str, bytes]:
    """Return a picture made small, where Pillow is installed and it is large."""
    if len(data) < 100_000:
        return kind, data
    try:
        from PIL import Image
    except ImportError:
        return kind, data
    file = io.BytesIO()
    with Image.open(io.BytesIO(data)) as picture:
        picture.thumbnail((_EDGE, _EDGE))
        picture.convert("RGB").save(file, "JPEG", quality=80)
    return "image/jpeg", file.getvalue()
