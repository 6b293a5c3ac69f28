"""Install dataplat editable with some of its extras into this interpreter's environment, by uv.

    .venv/bin/python scripts/install.py demo        # the extras, as in pyproject.toml
    .venv/bin/python scripts/install.py --compile   # resolve constraints.txt anew

uv does not read pip's configuration, and no file here may name a package index: what pip is configured for on
this machine (index, links, certificate) is handed on by environment variables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).parent / "uv"

FROM_PIP = {  # pip's setting -> uv's variable
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}

COMPILED = """\
# The versions that `make test` and `make demo` install: reproducible, without naming where they come from.
# Resolved for every platform and Python >= 3.11 by `make constraints`.
"""


def pip_settings() -> dict[str, str]:
    """Return pip's effective settings (files and environment) by their bare names; the environment wins."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        scope, _, key = name.rpartition(".")
        if key not in settings or scope == ":env:":
            settings[key] = value.strip().strip("'\"")
    return settings


def environment() -> dict[str, str]:
    """Return the environment that uv runs in."""
    env = dict(os.environ)
    settings = pip_settings()
    for key, variable in FROM_PIP.items():
        if key in settings and variable not in env:
            env[variable] = settings[key].replace("\\n", " ")
    env.setdefault("UV_SYSTEM_CERTS", "1")  # uv's own bundle knows nothing of this machine's proxy
    env.setdefault("UV_HTTP_TIMEOUT", "180")
    env["VIRTUAL_ENV"] = sys.prefix
    return env


def install(extras: str) -> int:
    """Install `-e .[extras]` held to constraints.txt, build tools too."""
    held = ["--constraints", "constraints.txt", "--build-constraints", "constraints.txt"]
    command = [str(UV), "pip", "install", "--python", sys.executable, *held, "--editable", f".[{extras}]"]
    print(f"installing dataplat[{extras}] with {len(pins())} versions held by constraints.txt", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


def pins() -> list[str]:
    """Return the lines of constraints.txt that hold a version."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


LABEL_STUDIO = ROOT / "labeling" / "label_studio" / "requirements.txt"
LABEL_STUDIO_COMPILED = """\
# The versions that Label Studio runs with, in an environment of its own: Python 3.11 to 3.13, every platform.
# Resolved by `make constraints`.
"""
BELOW_314 = "python_full_version < '3.14'"


def compile_label_studio() -> int:
    """Write the versions that Label Studio itself runs with: the release that stands there, all else the newest."""
    listed = LABEL_STUDIO.read_text("utf-8").splitlines()
    release = next(line for line in listed if line.startswith("label-studio=="))
    options = ["--universal", "--python-version", "3.11", "--no-header", "--no-annotate", "--quiet"]
    wanted = f"{release} ; python_version < '3.14'\nsetuptools ; python_version < '3.14'\n"
    command = [str(UV), "pip", "compile", "-", *options]
    # not in this folder: what pyproject.toml overrides is for us alone
    done = subprocess.run(
        command,
        cwd=tempfile.gettempdir(),
        env=environment(),
        input=wanted,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        lines = done.stdout.replace(f" ; {BELOW_314}\n", "\n").replace(f"{BELOW_314} and ", "")
        LABEL_STUDIO.write_text(LABEL_STUDIO_COMPILED + lines, "utf-8")
    return done.returncode


def compile_constraints() -> int:
    """Write constraints.txt: one pinned version a line, for every platform, from all extras."""
    options = ["--all-extras", "--universal", "--python-version", "3.11", "--no-header", "--no-annotate", "--quiet"]
    command = [str(UV), "pip", "compile", "pyproject.toml", *options, "--upgrade"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        (ROOT / "constraints.txt").write_text(COMPILED + done.stdout, "utf-8")
    return done.returncode


if __name__ == "__main__":
    compiling = sys.argv[1:] == ["--compile"]
    sys.exit(compile_constraints() or compile_label_studio() if compiling else install(",".join(sys.argv[1:])))
