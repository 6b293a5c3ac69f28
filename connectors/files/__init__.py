"""Files and tables in memory as sources of rows: one module per format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataplat.connectors.files._open import open_source
    from dataplat.connectors.files._options import FileOptions

__all__ = ["FileOptions", "open_source"]


def __getattr__(name: str) -> Any:
    if name == "open_source":
        from dataplat.connectors.files._open import open_source

        return open_source
    if name == "FileOptions":
        from dataplat.connectors.files._options import FileOptions

        return FileOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
