"""Make an environment that holds the real Feast and nothing of dataplat, and print where its Python is.

    .venv/bin/python -m benchmarks._feast

It lies in the user's cache, outside of the repository, and is made once: Feast's requirements would hold back ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "0.67.0"
ROOT = Path(__file__).resolve().parent.parent


def folder() -> Path:
    """Return where the environment lies, or would lie."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dataplat" / f"feast-{VERSION}"


def python() -> Path | None:
    """Return its Python where the environment was made, else None."""
    found = folder() / "bin" / "python"
    return found if (folder() / "bin" / "feast").exists() else None


def make() -> Path:
    """Make the environment where there is none; it appears whole or not at all."""
    sys.path.append(str(ROOT / "scripts"))
    from install import UV, environment

    target, env = folder(), environment()
    if python() is None:
        env.pop("VIRTUAL_ENV", None)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([str(UV), "venv", "--quiet", str(target)], env=env, check=True)
        packages = [f"feast[duckdb]=={VERSION}"]
        install = [str(UV), "pip", "install", "--quiet", "--python", str(target / "bin" / "python"), *packages]
        try:
            subprocess.run(install, env=env, check=True)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
    return target / "bin" / "python"


if __name__ == "__main__":
    print(make())
