"""Find a Chromium for the tests of pages, or install Debian's where that can be done, and print where it is.

    .venv/bin/python scripts/browser.py

`DATAPLAT_CHROMIUM` names one of your own. Downloads by Playwright are not used: what a distribution maintains is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


class NoBrowserError(Exception):
    """There is none, and none can be installed here."""


def found() -> Path | None:
    """Return the program, or None."""
    named = os.environ.get("DATAPLAT_CHROMIUM")
    if named:
        return Path(named)
    programs = (shutil.which(name) for name in NAMES)
    program = next((each for each in programs if each is not None), None)
    if program is not None:
        return Path(program)
    return MAC if MAC.exists() else None


def make() -> Path:
    """Return the program; install Debian's package first where there is none and this is root.

    Raises:
        NoBrowserError: There is none, and this is no Debian, or not its root.
    """
    program = found()
    if program is not None:
        return program
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NoBrowserError("no Chromium: install one, or name it with DATAPLAT_CHROMIUM")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(
            ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600", *command],
            env=quiet, stdin=subprocess.DEVNULL, stdout=-1, stderr=-2, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoBrowserError(f"apt-get {' '.join(command)} failed:\n{done.stdout[-1000:]}")
    program = found()
    if program is None:
        raise NoBrowserError("apt-get installed chromium, but it is not on the PATH")
    return program


if __name__ == "__main__":
    try:
        print(make())
    except NoBrowserError as error:
        sys.exit(str(error))
