"""Where dataplat keeps, on this machine, what it could get again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Return dataplat's folder in the user's cache, by the convention of the platform (`XDG_CACHE_HOME` wins)."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "dataplat"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dataplat"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "dataplat" / "Cache"
    return Path.home() / ".cache" / "dataplat"
