"""Label Studio: the real one, on SQLite, with the settings that `dataplat label server start` gives it.

How to use it, in a test of anything under tests/:

    def test_x(label_studio):                     # shared by the worker's tests: projects and accounts have names of their own
        server = label_studio.client()            # the LabelServer that products use, as the administrator
        name = label_studio.new_name("queue")     # for marks, titles and people
        who = label_studio.person("anna")         # an account that can log in; who.name, who.email, who.password
        who.answer(task, result)                  # as that person: also who.skip(task), who.http (an httpx.Client)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from dataplat.labeling.label_studio import _install, _run, _state
from dataplat.labeling.label_studio.client import LabelStudioServer
from servers.installed import needs
from servers.process import Server, running


@dataclass(frozen=True)
class LabelStudio(Server):
    """A Label Studio of the loopback."""

    state: _state.State = field(repr=False, kw_only=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.state.url

    @property
    def token(self) -> str:
        """The administrator's token."""
        return self.state.token

    def client(self, token: str | None = None) -> LabelStudioServer:
        """Return a client."""
        return LabelStudioServer(self.url, token or self.token)

    @staticmethod
    def new_name(name: str) -> str:
        """Return a name that no other test has."""
        return f"{name}-{uuid4().hex[:8]}"

    def http(self) -> httpx.Client:
        """Return a client of plain HTTP, as the administrator; to be closed."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Token {self.token}"}, timeout=60)


@contextmanager
def run_label_studio(folder: Path) -> Iterator[LabelStudio]:
    """Run one over a folder, with an empty database: some 15 s and 370 MB. Started again it has what it had."""
    home = needs("label-studio")
    made = _state.load_or_make(folder / "state")
    data = folder / "data"
    data.mkdir()
    shutil.copyfile(_install.template(home), data / "label_studio.sqlite3")

    def command(port: int) -> list[str]:
        where = ["--internal-host", "127.0.0.1", "--port", str(port), "--data-dir", str(data)]
        python = str(_install.python(home))
        return ["nice", python, "-c", _install.START, "start", *where, "--no-browser", "--enable-legacy-api-token"]

    def ready(port: int) -> bool:
        return _run.knows_us(_at(made, port))

    with running(folder, command, ready, timeout=_run.PATIENCE, env=_run.environment(made)) as (port, process):
        yield LabelStudio("127.0.0.1", port, folder, process, state=_at(made, port))


def _at(state: _state.State, port: int) -> Any:
    from msgspec.structs import replace

    return replace(state, port=port)
