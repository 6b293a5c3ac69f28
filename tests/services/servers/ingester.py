"""A process that has all imported and ingests in children that it forks: each may be killed, and costs no start.

with Ingester(server.environment(proxy.url)) as ingester:
    run = ingester.start(url, path, budget=1)   # a child ingests the file into dataset `d`, in parts of 200,000 rows
    run.kill()                                  # as often as not
    assert run.wait() == "ok"                   # or "killed", or the name of an error
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_ZYGOTE = """
import json, os, sys, traceback
from importlib import import_module
for name in ["polars", "pyarrow.csv", "pyarrow.parquet", "s3fs", "aiobotocore.endpoint", "gcsfs.core", "hdfs_native"]:
    import_module(name)
import dataplat as dp
import dataplat._lake, dataplat.ingest._ingest, dataplat.connectors.files.csv, dataplat.versioning.publish
from dataplat.lake.parts import PartWriter
from dataplat.lake.stores import _gcs, _s3
PartWriter.__init__.__kwdefaults__["target_rows"] = 200_000
_s3.MULTIPART, _s3.PART = 1 << 20, 5 << 20  # so that a part of a lake goes up in parts
_gcs.RESUMABLE, _gcs.CHUNK = 1 << 20, 1 << 20
print("ready", flush=True)
for line in sys.stdin:
    url, path, options = json.loads(line)
    child = os.fork()
    if not child:
        try:
            dp.open(url, create=False, options=options).ingest(path, "d")
            said = "ok"
        except dp.DataplatError as error:
            said = type(error).__name__
        except BaseException:
            traceback.print_exc()
            said = "defect"
        print(said, flush=True)
        os._exit(0)
    print(child, flush=True)
    status = os.waitpid(child, 0)[1]
    print("killed" if os.WIFSIGNALED(status) else "ended", flush=True)
"""


class Run:
    """One ingest."""

    def __init__(self, ingester: Ingester, pid: int) -> None:
        self.pid = pid
        self._ingester = ingester

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def wait(self) -> str:
        """Return how it ended."""
        said = self._ingester.line()
        if said == "killed":
            return said
        assert self._ingester.line() in {"ended", "killed"}
        return said


class Ingester:
    """Ingests, one after the other, in an environment of their own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._env = {
            **os.environ,
            **environment,
            "PYTHONWARNINGS": "ignore",
        }  # Python 3.12 warns of a fork beside threads

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", _ZYGOTE]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=self._env)
        assert self.line() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """Return what is said next."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def start(self, url: str, path: Path, **options: Any) -> Run:
        """Begin to ingest `path` into the lake at `url`."""
        import json

        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([url, str(path), options]) + "\n")
        self._process.stdin.flush()
        return Run(self, int(self.line()))
