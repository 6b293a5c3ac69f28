"""Make an environment that holds the real Spark and nothing of dataplat, and print where its Python is.

    .venv/bin/python scripts/real_spark.py

It lies in the user's cache, outside of the repository, and is made once: 1 GB, from the package index, and four jars by
Maven, with which it reads Kafka. It needs Java 17 or later.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
from install import ROOT, UV, environment

VERSION = "4.2.0"


def folder() -> Path:
    """Return where the environment lies, or would lie; the jars are in `jars` of it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "dataplat" / f"spark-{VERSION}"


def make() -> Path:
    """Return its Python; the environment is made where there is none, and appears whole or not at all."""
    target, env = folder(), environment()
    python = target / "bin" / "python"
    if not (target / "jars").exists():
        env.pop("VIRTUAL_ENV", None)
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([str(UV), "venv", "--quiet", str(target)], env=env, check=True)
        install = [str(UV), "pip", "install", "--quiet", "--python", str(python), f"pyspark=={VERSION}"]
        pom, jars = ROOT / "scripts" / "spark.pom.xml", target / "copied"
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        try:
            subprocess.run(install, env=env, check=True)
            subprocess.run(["mvn", "-B", "-q", "-f", str(pom), *copy], env=env, check=True)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        jars.rename(target / "jars")
    return python


if __name__ == "__main__":
    print(make())
