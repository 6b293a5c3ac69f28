"""Starts and stops a Label Studio of this machine, and beside it dataplat's own server, as processes that go on."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from msgspec.structs import replace

from dataplat.errors import MissingExtra
from dataplat.labeling.label_studio import _install
from dataplat.labeling.label_studio._install import Told
from dataplat.labeling.label_studio._process import Daemon, free_port
from dataplat.labeling.label_studio._state import ADMIN, State, load, load_or_make, save, state_dir

PATIENCE = 300.0
"""Seconds that a start may take: the first one migrates a database, and machines are busy."""


@dataclass(frozen=True, slots=True)
class Status:
    """What runs: the addresses of those that do."""

    url: str | None
    serve_url: str | None
    folder: Path
    installed: bool

    @property
    def running(self) -> bool:
        """Whether annotators can work: both run."""
        return self.url is not None and self.serve_url is not None


def label_studio(folder: Path) -> Daemon:
    """Return the Label Studio of a state folder."""
    return Daemon("label-studio", folder, str(folder / "label-studio"))


def own_server(folder: Path) -> Daemon:
    """Return dataplat's server of a state folder."""
    return Daemon("serve", folder, f"--state {folder}")


def start(
    serve: list[str], told: Told = lambda _: None, folder: Path | None = None, *, own_only: bool = False
) -> Status:
    """Start what does not run, and return when both answer; Label Studio is installed first where it is not.

    Args:
        serve: the command that runs dataplat's own server; `--state FOLDER` is added to it.
        told: is told what is being done.
        folder: where state is kept; by default the user's.
        own_only: whether Label Studio runs elsewhere.

    Raises:
        LabelServerError: it cannot be installed, or does not start.
    """
    folder = folder or state_dir()
    with _locked(folder):
        state = load_or_make(folder)
        if not own_only and label_studio(folder).pid is None:
            home = _install.install(told)
            told("starting Label Studio")
            state = _start_label_studio(home, folder, state)
        if own_server(folder).pid is None:
            told("starting the server of pictures and ways in")
            state = _start_own(serve, folder, state)
    return status(folder)


def stop(folder: Path | None = None) -> bool:
    """Stop both; return whether any ran. Nothing that they hold is lost."""
    folder = folder or state_dir()
    if load(folder) is None:
        return False
    with _locked(folder):
        return any([own_server(folder).stop(), label_studio(folder).stop()])


def status(folder: Path | None = None) -> Status:
    """Return what runs."""
    folder = folder or state_dir()
    state = load(folder)
    there = _install.installed()
    if state is None:
        return Status(None, None, folder, there)
    url = state.url if label_studio(folder).pid is not None else None
    return Status(url, state.serve_url if own_server(folder).pid is not None else None, folder, there)


def _start_label_studio(home: Path, folder: Path, state: State) -> State:
    daemon, data = label_studio(folder), folder / "label-studio"
    data.mkdir(exist_ok=True)
    database = data / "label_studio.sqlite3"
    if not database.exists():
        scratch = database.with_suffix(".new")
        shutil.copyfile(_install.template(home), scratch)
        scratch.rename(database)
    state = replace(state, port=free_port(state.port))
    save(state, folder)
    where = ["--internal-host", "127.0.0.1", "--port", str(state.port), "--data-dir", str(data)]
    options = ["--no-browser", "--enable-legacy-api-token"]
    daemon.start(
        [str(_install.python(home)), "-c", _install.START, "start", *where, *options], environment(state), data
    )
    daemon.wait(lambda: knows_us(state), PATIENCE, state.secrets)
    return state


def environment(state: State) -> dict[str, str]:
    """Return what Label Studio is started with; secrets are in its environment, since others see command lines."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LABEL_STUDIO", "PYTHON"))},
        **_install.SILENT,
        "LABEL_STUDIO_USERNAME": ADMIN,
        "LABEL_STUDIO_PASSWORD": state.password,
        "LABEL_STUDIO_USER_TOKEN": state.token,
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "false",
        "SECRET_KEY": state.derived("what sessions are signed with").hex(),
        "SSRF_PROTECTION_ENABLED": "false",  # its webhooks go to our own server, on the loopback
        "PYTHONUNBUFFERED": "1",
    }


def _start_own(serve: list[str], folder: Path, state: State) -> State:
    missing = next((name for name in ("starlette", "uvicorn") if find_spec(name) is None), None)
    if missing is not None:
        raise MissingExtra(f"dataplat's own server needs {missing}: pip install 'dataplat[labeling]'")
    daemon = own_server(folder)
    state = replace(state, serve_port=free_port(state.serve_port))
    save(state, folder)
    daemon.start([*serve, "--state", str(folder)], os.environ)
    daemon.wait(lambda: _answers(f"{state.serve_url}/healthz"), 60, state.secrets)
    return state


def knows_us(state: State) -> bool:
    """Return whether Label Studio answers at its port, and is ours: it would take the next port in silence."""
    return _answers(f"{state.url}/health") and _answers(f"{state.url}/api/current-user/whoami", state.token)


def _answers(url: str, token: str | None = None) -> bool:
    asked = urllib.request.Request(url, headers={"Authorization": f"Token {token}"} if token else {})  # noqa: S310 - our own
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=10) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two commands at once start no server twice."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def command_of(module: str) -> list[str]:
    """Return how a module is run by this interpreter."""
    return [sys.executable, "-m", module]
