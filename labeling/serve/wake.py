"""How a webhook wakes who pulls: a file for each queue, whose time says when something was answered last.

Nothing rests on it: a pull that is not woken comes all the same, only later.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote


def ring(queue: str, folder: Path | None = None) -> None:
    """Note that something was answered."""
    path = _path(queue, folder)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch()


def heard(queue: str, since: float, folder: Path | None = None) -> bool:
    """Return whether something was answered after a time (of this machine's clock, in seconds)."""
    with suppress(OSError):
        return _path(queue, folder).stat().st_mtime > since
    return False


def _path(queue: str, folder: Path | None) -> Path:
    from dataplat.labeling.label_studio._state import state_dir

    return (folder or state_dir()) / "heard" / quote(queue, safe="")
