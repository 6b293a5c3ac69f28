"""Files to ingest, and the whole store at a glance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from dataplat._lake import Lake

Write: TypeAlias = Callable[[str, "str | bytes"], Path]
Listing: TypeAlias = Callable[[Lake], "dict[str, bytes]"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def listing() -> Listing:
    """Return a function that gives every object of a lake's store, with its bytes."""
    return lambda lake: {info.key: lake.store.read(info.key) for info in lake.store.list("")}
