"""Whether what serves is installed."""

from __future__ import annotations

import importlib.util
import sys
from typing import Final

from dataplat.errors import ConfigError, MissingExtra

NEEDED: Final = ("fastapi", "httptools", "orjson", "starlette", "uvicorn", "uvloop")


def check() -> None:
    """Raise `MissingExtra` where a package is missing, `ConfigError` where there are no such processes."""
    if sys.platform == "win32":
        raise ConfigError(
            "`dataplat serve` runs on Linux and macOS: workers share a socket, as Windows does not let them"
        )
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"serving needs {', '.join(missing)}: pip install 'dataplat[serving]'")
