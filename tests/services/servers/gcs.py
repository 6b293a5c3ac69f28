"""GCS: fake-gcs-server, whose generation preconditions hold in a race."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from servers.installed import needs
from servers.process import Server, answers, running


@dataclass(frozen=True)
class GcsServer(Server):
    """A GCS end point of the loopback, and what a client needs to know of it."""

    @property
    def url(self) -> str:
        """The end point."""
        return f"http://{self.host}:{self.port}"

    def options(self, url: str | None = None) -> dict[str, Any]:
        """Return what gcsfs is made with; `url` may be a proxy's."""
        return {
            "endpoint_url": url or self.url,
            "token": "anon",
            "project": "dataplat",
            "skip_instance_cache": True,
            "use_listings_cache": False,
        }

    def environment(self, url: str | None = None) -> dict[str, str]:
        """Return the variables by which Google's clients find this server.

        gcsfs asks a second service what kind of bucket it has, which hangs for a minute where there is none.
        """
        return {"STORAGE_EMULATOR_HOST": url or self.url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}

    def new_bucket(self, prefix: str = "lake") -> str:
        """Make a bucket that no other test has, and return its name."""
        import gcsfs

        name = f"{prefix}-{uuid4().hex[:12]}"
        gcsfs.GCSFileSystem(**self.options()).mkdir(name)
        return name


@contextmanager
def fake_gcs(folder: Path, *, durable: bool = False) -> Iterator[GcsServer]:
    """Run fake-gcs-server in memory; `durable` keeps what it has in the folder, for tests that kill it."""
    program = needs("gcs") / "fake-gcs-server"
    kept = ["-backend", "filesystem", "-filesystem-root", str(folder / "data")]

    def command(port: int) -> list[str]:
        at = f"127.0.0.1:{port}"
        serve = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-log-level", "error"]
        named = ["-external-url", f"http://{at}", "-public-host", at]
        return [str(program), *serve, *named, *(kept if durable else ["-backend", "memory"])]

    def ready(port: int) -> bool:
        return answers(f"http://127.0.0.1:{port}/storage/v1/b?project=dataplat")

    with running(folder, command, ready) as (port, process):
        yield GcsServer("127.0.0.1", port, folder, process)
