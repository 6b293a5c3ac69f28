"""Make an environment that holds the real DVC and nothing of dataplat, and print where its program is.

    .venv/bin/python scripts/real_dvc.py

It lies in the user's cache, outside of the repository, and is made once. DVC gets one of its own because its
requirements would hold back ours, and because what we export has to work without dataplat.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
from install import UV, environment

VERSION = "3.67.1"


def folder() -> Path:
    """Return where the environment lies, or would lie."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dataplat" / f"dvc-{VERSION}"


def program() -> Path | None:
    """Return the program `dvc` where the environment was made, else None."""
    found = folder() / "bin" / "dvc"
    return found if found.exists() else None


def make() -> Path:
    """Make the environment where there is none; it appears whole or not at all."""
    target, env = folder(), environment()
    if program() is None:
        env.pop("VIRTUAL_ENV", None)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([str(UV), "venv", "--quiet", str(target)], env=env, check=True)
        python = str(target / "bin" / "python")
        try:
            subprocess.run(
                [str(UV), "pip", "install", "--quiet", "--python", python, f"dvc=={VERSION}"], env=env, check=True
            )
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
    return target / "bin" / "dvc"


if __name__ == "__main__":
    print(make())
