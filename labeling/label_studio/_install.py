"""Label Studio's own program, in a virtual environment of its own in the user's cache: it shares no version with ours.

The environment appears whole or not at all. It holds a database that has been migrated (two minutes of a first start),
so that every new server begins with a copy.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from dataplat.errors import LabelServerError

VERSION = "1.23.2"
HOME = "DATAPLAT_LABEL_STUDIO"
"""The environment variable that names an installation elsewhere."""
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
START = "import sys; from label_studio.server import main; sys.exit(main())"
"""How the program is run: its scripts name the folder that they were made in."""
SILENT = {
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "DISABLE_ERROR_TRACKING": "1",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "DEBUG": "false",
}
"""It tells nobody that it runs."""
FROM_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
"""What pip is configured for on this machine, and uv's variable for it."""

Told: TypeAlias = Callable[[str], None]
"""Is told what is being done, a line each."""


def home() -> Path:
    """Return the folder of the installation, whether it is there or not."""
    from dataplat.lake._cache_dir import cache_dir

    named = os.environ.get(HOME)
    return Path(named) if named else cache_dir() / f"label-studio-{VERSION}"


def installed() -> bool:
    """Return whether it is there; it never is in part."""
    return home().is_dir()


def python(folder: Path) -> Path:
    """Return the interpreter of an installation."""
    return folder / "bin" / "python"


def template(folder: Path) -> Path:
    """Return the migrated, empty database of an installation."""
    return folder / "empty.sqlite3"


def install(told: Told = lambda _: None) -> Path:
    """Return the installation's folder, made first where there is none: some 800 MB, half a minute to ten.

    Raises:
        LabelServerError: this Python is none that it runs on, or a package could not be had.
    """
    folder = home()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f".{folder.name}.lock"):
        if folder.is_dir():  # made by another process meanwhile
            return folder
        prefix = f".{folder.name}-building-"
        for left in folder.parent.glob(f"{prefix}*"):  # of one that was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        try:
            build(scratch / "made", told)
            (scratch / "made").rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


def build(folder: Path, told: Told = lambda _: None) -> None:
    """Make an environment in a folder that is not there yet or empty, and its empty database."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise LabelServerError(
            f"Label Studio {VERSION} runs on Python 3.11 to 3.13, and this is {sys.version.split()[0]}; "
            f"install it with one of those, or name a server that runs: [label] url in dataplat.toml"
        )
    uv = _uv()
    told(f"making an environment for Label Studio {VERSION}")
    if uv is None:
        _run("making the environment", [sys.executable, "-m", "venv", str(folder)])
    else:
        _run("making the environment", [uv, "venv", "--quiet", "--python", sys.executable, str(folder)], _uv_settings())
    told(f"fetching Label Studio and {len(requirements()) - 1} packages, some 800 MB installed")
    listed = ["--no-deps", "--requirement", str(REQUIREMENTS)]
    if uv is None:
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        _run("fetching packages", [str(python(folder)), "-m", "pip", "install", *quiet, *listed])
    else:
        command = [uv, "pip", "install", "--quiet", "--python", str(python(folder)), *listed]
        _run("fetching packages", command, _uv_settings())
    told("making its empty database: a minute or two, once")
    migrate(folder)


def migrate(folder: Path) -> None:
    """Make the empty database of an installation."""
    with tempfile.TemporaryDirectory(prefix="dataplat-label-studio-") as scratch:
        env = {**os.environ, **SILENT, "SECRET_KEY": "of no server", "LABEL_STUDIO_BASE_DATA_DIR": scratch}
        _run("making its database", [str(python(folder)), "-c", START, "init", "--quiet"], env)
        shutil.move(Path(scratch) / "label_studio.sqlite3", template(folder))


def requirements() -> list[str]:
    """Return the packages, one each."""
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock, which ends with this process, however that ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uv() -> str | None:
    """Return uv's program, from the PATH or from beside this interpreter, or None."""
    beside = Path(sys.executable).parent / "uv"
    return shutil.which("uv") or (str(beside) if beside.exists() else None)


def _uv_settings() -> dict[str, str]:
    """Return an environment for uv that holds what pip is configured for here; what is set already wins."""
    env = dict(os.environ)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        variable = FROM_PIP.get(name.rpartition(".")[2])
        if variable is not None:
            env.setdefault(variable, value.strip().strip("'\"").replace("\\n", " "))
    env.setdefault("UV_SYSTEM_CERTS", "1")
    env.setdefault("UV_HTTP_TIMEOUT", "180")
    env.pop("VIRTUAL_ENV", None)
    return env


def _run(what: str, command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - what this module names
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise LabelServerError(f"Label Studio cannot be installed: {what} failed:\n{done.stdout[-2000:]}")
